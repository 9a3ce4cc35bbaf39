//! Which path tells what.

use super::{
    shapes,
    view::{ClusterView, Told, Untold},
};
use crate::system::{
    http::{HttpResponse, Method, RequestError, RoutedRequest, Router},
    ids::{JobId, JobVertexId},
    protocol::{JobDetails, JobRefusal, VertexDetails},
    sabotage,
};
use serde_json::Value;
use std::{future::Future, sync::Arc};

/// A request that has no value for an answer.
pub enum Failed {
    Request(RequestError),
    Untold(Untold),
    NotFound(String),
}

impl From<RequestError> for Failed {
    fn from(error: RequestError) -> Self {
        Failed::Request(error)
    }
}

impl From<Untold> for Failed {
    fn from(untold: Untold) -> Self {
        Failed::Untold(untold)
    }
}

impl From<Failed> for HttpResponse {
    fn from(failed: Failed) -> Self {
        let untold = match failed {
            Failed::Request(error) => return error.into(),
            Failed::NotFound(why) => return HttpResponse::error(404, &why),
            Failed::Untold(untold) => untold,
        };
        let status = match &untold {
            Untold::Refused(JobRefusal::Unknown(_)) => 404,
            Untold::Refused(JobRefusal::Terminated(_)) => 409,
            // Also where it may be done: whoever is told so asks again.
            Untold::Refused(JobRefusal::NoMaster)
            | Untold::NoLeader(_)
            | Untold::NoAnswer { .. }
            | Untold::InDoubt(..) => 503,
        };
        HttpResponse::error(status, &untold.to_string())
    }
}

/// An answer that says how old it is.
fn aged(mut value: Value, age_ms: u64) -> HttpResponse {
    value["age-ms"] = age_ms.into();
    HttpResponse::json(200, &value).with_header("age", (age_ms / 1000).to_string())
}

/// The moment of which something is told that is so old now, by this node's wall clock.
fn then(view: &ClusterView, age_ms: u64) -> u64 {
    let now = view.host().wall().as_millis();
    match age_ms > 0 && view.host().sabotaged(sabotage::OLD_TIMES_NOT_SHIFTED) {
        true => now,
        false => now.saturating_sub(age_ms),
    }
}

/// Routes that share a view.
struct Routes {
    router: Router,
    view: Arc<ClusterView>,
}

impl Routes {
    fn on<F>(
        self,
        method: Method,
        pattern: &str,
        handler: impl Fn(Arc<ClusterView>, RoutedRequest) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<HttpResponse, Failed>> + Send + 'static,
    {
        let view = self.view.clone();
        let handler = move |request| handler(view.clone(), request);
        Routes { router: self.router.route(method, pattern, handler), view: self.view }
    }

    fn get<F>(
        self,
        pattern: &str,
        handler: impl Fn(Arc<ClusterView>, RoutedRequest) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<HttpResponse, Failed>> + Send + 'static,
    {
        self.on(Method::GET, pattern, handler)
    }

    /// A path below a job that tells a part of its details.
    fn of_job(
        self,
        pattern: &str,
        shape: impl Fn(&JobDetails, u64, &RoutedRequest) -> Result<Value, Failed>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let shape = Arc::new(shape);
        self.get(pattern, move |view, request| {
            let shape = shape.clone();
            async move {
                let Told { value, age_ms } = view.job(job_of(&request)?).await?;
                Ok(aged(shape(&value, then(&view, age_ms), &request)?, age_ms))
            }
        })
    }
}

fn job_of(request: &RoutedRequest) -> Result<JobId, RequestError> {
    request.parameter("job")
}

fn vertex_of<'a>(
    job: &'a JobDetails,
    request: &RoutedRequest,
) -> Result<&'a VertexDetails, Failed> {
    let id = JobVertexId(request.parameter::<u32>("vertex")?);
    let vertex = job.vertices.iter().find(|vertex| vertex.id == id);
    vertex.ok_or_else(|| Failed::NotFound(format!("job {} has no {id:?}", job.job)))
}

/// All paths.
pub fn router(view: &Arc<ClusterView>) -> Router {
    let routes = Routes { router: Router::new(), view: view.clone() };
    let routes = routes
        .get("/config", |view, _| async move {
            let refresh = view.config().refresh_interval;
            Ok(aged(shapes::config(refresh), 0))
        })
        .get("/overview", |view, _| async move {
            let (jobs, executors) =
                futures::future::try_join(view.jobs(), view.task_executors()).await?;
            let Told { value: (jobs, executors), age_ms } = jobs.with(executors);
            Ok(aged(shapes::overview(&jobs, &executors), age_ms))
        })
        .get("/taskmanagers", |view, _| async move {
            let Told { value, age_ms } = view.task_executors().await?;
            Ok(aged(shapes::task_executors(&value, age_ms), age_ms))
        })
        .get("/jobs", |view, _| async move {
            let Told { value, age_ms } = view.jobs().await?;
            Ok(aged(shapes::job_ids(&value), age_ms))
        })
        .get("/jobs/overview", |view, _| async move {
            let Told { value, age_ms } = view.jobs().await?;
            Ok(aged(shapes::jobs(&value, then(&view, age_ms)), age_ms))
        });
    of_one_job(routes).router
}

fn of_one_job(routes: Routes) -> Routes {
    routes
        .of_job("/jobs/:job", |job, then, _| Ok(shapes::job(job, then)))
        .of_job("/jobs/:job/plan", |job, _, _| Ok(shapes::plan(job)))
        .of_job("/jobs/:job/checkpoints", |job, then, _| Ok(shapes::checkpoints(job, then)))
        .of_job("/jobs/:job/exceptions", |job, then, _| Ok(shapes::exceptions(job, then)))
        .of_job("/jobs/:job/vertices/:vertex", |job, then, request| {
            Ok(shapes::vertex(vertex_of(job, request)?, then))
        })
        .of_job("/jobs/:job/vertices/:vertex/backpressure", |job, then, request| {
            Ok(shapes::back_pressure(vertex_of(job, request)?, then))
        })
        .on(Method::PATCH, "/jobs/:job", |view, request| async move {
            let job = job_of(&request)?;
            match request.query_parameter::<String>("mode")?.as_deref() {
                None | Some("cancel") => {}
                Some(other) => {
                    let why =
                        format!("query parameter \"mode\" can only be \"cancel\", not {other:?}");
                    return Err(RequestError(why).into());
                }
            }
            view.cancel(job).await?;
            Ok(HttpResponse::json(202, &serde_json::json!({})))
        })
}
