//! Which handler a request is for, by its method and path.

use super::{
    pattern::{Parameters, Pattern},
    request::{HttpRequest, RequestError},
    response::HttpResponse,
    service::HttpHandler,
};
use futures::{FutureExt, future::BoxFuture};
use hyper::Method;
use std::{collections::BTreeMap, future::Future, ops::Deref, str::FromStr, sync::Arc};

/// A request that a pattern matched. It gives all of the request, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutedRequest {
    /// The request.
    pub request: HttpRequest,
    parameters: Parameters,
}

impl RoutedRequest {
    /// A parameter of the path, decoded.
    ///
    /// # Errors
    /// When it can't be read as a `T`.
    ///
    /// # Panics
    /// When the pattern has no parameter of that name.
    pub fn parameter<T: FromStr>(&self, name: &str) -> Result<T, RequestError> {
        let found = self.parameters.iter().find(|(of, _)| of == name);
        let (_, value) = found.expect("the route's pattern names it");
        value.parse().map_err(|_| RequestError(format!("{name} can't be {value:?}")))
    }
}

impl Deref for RoutedRequest {
    type Target = HttpRequest;

    fn deref(&self) -> &HttpRequest {
        &self.request
    }
}

type RouteHandler = Box<dyn Fn(RoutedRequest) -> BoxFuture<'static, HttpResponse> + Send + Sync>;

/// The handler of one method, with what its pattern calls its parameters.
struct Route {
    parameters: Vec<String>,
    handler: RouteHandler,
}

/// Routes requests to handlers.
///
/// A pattern is a path in which `:name` stands for any segment that is not empty; `/` at the end of a path is
/// nothing. Literal segments are preferred to parameters, from the left. What no pattern matches is answered 404;
/// what one does, but with no handler for the method, 405 with `Allow`. `HEAD` goes to the handler of `GET` where it
/// has none of its own.
#[derive(Default)]
pub struct Router {
    routes: BTreeMap<Pattern, Vec<(Method, Route)>>,
}

impl Router {
    /// Without a route.
    pub fn new() -> Self {
        Router::default()
    }

    /// The same with one more route. A handler answers with a [`HttpResponse`], or a `Result` whose error becomes
    /// one, such as [`RequestError`].
    ///
    /// # Panics
    /// When there is a handler of that method for the same paths, and when the pattern does not begin with `/`, or
    /// names a parameter twice or not at all.
    #[must_use]
    pub fn route<H, F, A>(mut self, method: Method, pattern: &str, handler: H) -> Self
    where
        H: Fn(RoutedRequest) -> F + Send + Sync + 'static,
        F: Future<Output = Result<HttpResponse, A>> + Send + 'static,
        A: Into<HttpResponse> + 'static,
    {
        let (paths, parameters) = Pattern::new(pattern);
        let handler: RouteHandler =
            Box::new(move |request| handler(request).map(Into::into).boxed());
        let routes = self.routes.entry(paths).or_default();
        assert!(!routes.iter().any(|(of, _)| *of == method), "{method} {pattern} is routed twice");
        routes.push((method, Route { parameters, handler }));
        self
    }

    /// A route for `GET` and `HEAD`.
    ///
    /// # Panics
    /// As [`route`](Self::route).
    #[must_use]
    pub fn get<F>(
        self,
        pattern: &str,
        handler: impl Fn(RoutedRequest) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<HttpResponse, RequestError>> + Send + 'static,
    {
        self.route(Method::GET, pattern, handler)
    }

    /// A route for `POST`.
    ///
    /// # Panics
    /// As [`route`](Self::route).
    #[must_use]
    pub fn post<F>(
        self,
        pattern: &str,
        handler: impl Fn(RoutedRequest) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<HttpResponse, RequestError>> + Send + 'static,
    {
        self.route(Method::POST, pattern, handler)
    }

    /// What a server takes.
    pub fn into_handler(self) -> HttpHandler {
        let router = Arc::new(self);
        Arc::new(move |request| router.handle(request))
    }

    fn handle(&self, request: HttpRequest) -> BoxFuture<'static, HttpResponse> {
        let mut allowed = Vec::new();
        for (pattern, routes) in &self.routes {
            let Some(values) = pattern.matches(&request.path) else { continue };
            let of = |method: &Method| routes.iter().find(|(of, _)| of == method);
            let as_get = || of(&Method::GET).filter(|_| request.method == Method::HEAD);
            if let Some((_, route)) = of(&request.method).or_else(as_get) {
                let parameters = route.parameters.iter().cloned().zip(values).collect();
                return (route.handler)(RoutedRequest { request, parameters });
            }
            allowed.extend(routes.iter().map(|(method, _)| method));
        }
        futures::future::ready(refuse(&request, &allowed)).boxed()
    }
}

/// 404 when nothing is allowed there, else 405.
fn refuse(request: &HttpRequest, allowed: &[&Method]) -> HttpResponse {
    let (method, path) = (&request.method, &request.path);
    if allowed.is_empty() {
        return HttpResponse::error(404, &format!("there is no {path}"));
    }
    let mut methods: Vec<_> = allowed.iter().map(|method| method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.sort_unstable();
    methods.dedup();
    let answer = HttpResponse::error(405, &format!("{method} is not allowed on {path}"));
    answer.with_header("allow", methods.join(", "))
}
