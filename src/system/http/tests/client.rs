//! The client: what it sends, what it makes of answers, and when it can't know.

use super::*;

fn client(host: &Host) -> HttpClient {
    let limits = HttpClientLimits {
        header_bytes: 9000,
        headers: 20,
        body_bytes: 1000,
        total_time: Duration::from_secs(2),
    };
    HttpClient::new(host, limits)
}

/// What a client makes of these bytes, after which the server closes, or does not.
fn answered_with(answers: Vec<(Vec<u8>, bool)>, check: impl FnOnce(Vec<String>) + Send + 'static) {
    let (started, address) = oneshot::channel();
    let count = answers.len();
    run_two(
        async move |host| {
            let mut listener = host.listen(0).await.expect("a free port");
            let _ = started.send(listener.address().clone());
            for (answer, closes) in answers {
                let mut stream = listener.accept().await.expect("it listens");
                let mut read = Vec::new();
                while !read.ends_with(b"\r\n\r\n") {
                    let bytes = stream.read().await.expect("the client lasts");
                    read.extend_from_slice(&bytes.expect("a whole request"));
                }
                let _ = stream.write(answer.into()).await;
                if closes {
                    stream.close();
                }
                while let Ok(Some(_)) = stream.read().await {}
            }
            pending::<()>().await;
        },
        async move |host| {
            let to = address.await.expect("it starts");
            let mut results = Vec::new();
            for _ in 0..count {
                let result = client(&host).request(&to, HttpRequest::get("/")).await;
                results.push(match result {
                    Ok(answer) => {
                        let body = String::from_utf8_lossy(&answer.body);
                        format!("{} {body}", answer.status)
                    }
                    Err(error) => {
                        assert!(error.is_indeterminate(), "{error}");
                        let text = format!("{error:?}");
                        text.split([' ', '(']).next().unwrap_or_default().to_string()
                    }
                });
            }
            check(results);
        },
    );
}

#[test]
fn a_request_is_written_and_its_answer_read() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        let client = client(&host);
        let request = HttpRequest::get(format!("/jobs/{}", encode_segment("7")));
        let answer = client.request(&to, request.with_query("name", "a&b c=é")).await;
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.headers.get("connection")), (200, Some("close")));
        assert_eq!(answer.body, "{\"id\":7,\"name\":\"a&b c=é\"}".as_bytes());
        let request = HttpRequest::post_json("/echo", &[1, 2]).with_header("X-A", "b");
        let answer = client.request(&to, request).await.expect("an answer");
        assert_eq!(answer.read_json::<Vec<u8>>().expect("JSON"), [1, 2]);
        let answer = client.request(&to, HttpRequest::new(Method::HEAD, "/large/5000")).await;
        let answer = answer.expect("an answer");
        assert_eq!((answer.headers.get("content-length"), answer.body.len()), (Some("5000"), 0));
        let answer = client.request(&to, HttpRequest::new(Method::POST, "/hello")).await;
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.headers.get("allow")), (405, Some("GET, HEAD")));
    });
}

#[test]
fn a_request_is_these_bytes() {
    let expected = "POST /a/b?c=d%26 HTTP/1.1\r\nhost: ADDRESS\r\nx-a: b\r\n\
        content-length: 3\r\nconnection: close\r\n\r\nxyz";
    let (started, address) = oneshot::channel();
    run_two(
        async move |host| {
            let mut listener = host.listen(0).await.expect("a free port");
            let address = listener.address().clone();
            let expected = expected.replace("ADDRESS", &address.to_string());
            let _ = started.send(address);
            let mut stream = listener.accept().await.expect("it listens");
            let mut read = Vec::new();
            while !read.ends_with(b"xyz") {
                let bytes = stream.read().await.expect("the client lasts");
                read.extend_from_slice(&bytes.expect("a whole request"));
            }
            assert_eq!(String::from_utf8_lossy(&read), expected);
            stream.write("HTTP/1.1 200 OK\r\n\r\nend".into()).await.expect("it is taken");
            stream.close();
            pending().await
        },
        async move |host| {
            let to = address.await.expect("it starts");
            let request = HttpRequest::new(Method::POST, "/a/b").with_query("c", "d&");
            // A client frames its requests itself.
            let request = request.with_header("Content-Length", "9").with_header("X-A", "b");
            let request = request.with_header("connection", "keep-alive").with_body("xyz");
            let answer = client(&host).request(&to, request).await;
            assert_eq!(answer.expect("an answer").body, "end");
        },
    );
}

#[test]
fn answers_of_all_kinds() {
    let whole = |text: &str| (text.as_bytes().to_vec(), false);
    let closed = |text: &str| (text.as_bytes().to_vec(), true);
    let sized = |bytes: usize| {
        whole(&format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n{}", "x".repeat(bytes)))
    };
    let headers =
        |count: usize| whole(&format!("HTTP/1.1 204 OK\r\n{}\r\n", "x: y\r\n".repeat(count)));
    let long =
        |bytes: usize| whole(&format!("HTTP/1.1 204 OK\r\nx: {}\r\n\r\n", "y".repeat(bytes - 24)));
    let answers = vec![
        whole("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab"),
        whole(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        ),
        closed("HTTP/1.0 200 OK\r\n\r\nto the end"),
        sized(1000),
        sized(1001),
        closed(&format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1001))),
        headers(20),
        headers(21),
        long(9000),
        long(9001),
        closed(""),
        closed("HTTP/1.1 200 O"),
        closed("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab"),
        closed("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"),
        whole("what is this?\r\n\r\n"),
        whole("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab"),
    ];
    answered_with(answers, |results| {
        let x = format!("200 {}", "x".repeat(1000));
        let expected = [
            "200 ab",
            "200 abc",
            "200 to the end",
            &x,
            "TooLarge",
            "TooLarge",
            "204 ",
            "TooLarge",
            "204 ",
            "TooLarge",
            "Closed",
            "Closed",
            "Closed",
            "Closed",
            "Malformed",
            "Timeout",
        ];
        assert_eq!(results, expected);
    });
}

#[test]
fn a_refused_connection_and_an_unsendable_request_have_reached_nobody() {
    let (started, address) = oneshot::channel();
    run_two(
        async move |host| {
            let listener = host.listen(0).await.expect("a free port");
            let address = listener.address().clone();
            drop(listener);
            let _ = started.send(address);
            pending().await
        },
        async move |host| {
            let to = address.await.expect("it ended");
            let error = client(&host).request(&to, HttpRequest::get("/")).await;
            let error = error.expect_err("nothing listens");
            assert!(matches!(error, HttpError::Connect { .. }), "{error}");
            assert!(!error.is_indeterminate());
            let wrong = [
                HttpRequest::get("no-slash"),
                HttpRequest::get("/a b"),
                HttpRequest::get("/a\r\nb"),
                HttpRequest::get("/").with_header("a", "b\r\nc: d"),
            ];
            for request in wrong {
                let error = client(&host).request(&to, request).await;
                let error = error.expect_err("it can't be sent");
                assert!(matches!(error, HttpError::Unsendable(_)), "{error}");
                assert!(!error.is_indeterminate());
            }
        },
    );
}

#[test]
fn the_time_for_an_answer_is_bounded() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        let began = host.now();
        let error = client(&host).request(&to, HttpRequest::get("/endless")).await;
        let error = error.expect_err("it takes too long");
        assert!(matches!(error, HttpError::Timeout { sent: true, .. }), "{error}");
        assert!(error.is_indeterminate());
        let took = host.now() - began;
        assert!(Duration::from_secs(2) <= took && took < Duration::from_secs(4), "{took:?}");
    });
}

#[test]
fn an_answer_that_comes_before_the_request_is_read_is_read() {
    let limits = HttpLimits { body_bytes: 1000, ..HttpLimits::default() };
    with_server(limits, |host, to, _| async move {
        let request = HttpRequest::new(Method::POST, "/echo").with_body(vec![b'x'; 5_000_000]);
        let answer = client(&host).request(&to, request).await.expect("an answer");
        assert_eq!(answer.status, 413);
    });
}
