//! Requests and answers, byte by byte.

use super::*;

/// What is sent on one connection.
const SENT: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n\
HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n\
GET /jobs/7?name=a+%C3%A9 HTTP/1.1\r\nHost: a\r\n\r\n\
GET /jobs/seven HTTP/1.1\r\nHost: a\r\n\r\n\
GET /jobs/overview HTTP/1.1\r\nHost: a\r\n\r\n\
DELETE /jobs/7 HTTP/1.1\r\nHost: a\r\n\r\n\
POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab\r\nc\
GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n\
PATCH /jobs/7 HTTP/1.1\r\nHost: a\r\n\r\n\
HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n\
GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// What is answered to it, in both worlds.
const ANSWERED: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\ndate: D\r\n\r\nhello\
HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\ndate: D\r\n\r\n\
HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 22\r\ndate: D\r\n\r\n{\"id\":7,\"name\":\"a é\"}\
HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 37\r\ndate: D\r\n\r\n{\"errors\":[\"job can't be \\\"seven\\\"\"]}\
HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 8\r\ndate: D\r\n\r\nall jobs\
HTTP/1.1 204 No Content\r\ncontent-type: text/plain; charset=utf-8\r\ndate: D\r\n\r\n\
HTTP/1.1 200 OK\r\nx-method: POST\r\ncontent-length: 5\r\ndate: D\r\n\r\nab\r\nc\
HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 35\r\ndate: D\r\n\r\n{\"errors\":[\"there is no /nowhere\"]}\
HTTP/1.1 405 Method Not Allowed\r\ncontent-type: application/json\r\nallow: DELETE, GET, HEAD\r\ncontent-length: 46\r\ndate: D\r\n\r\n{\"errors\":[\"PATCH is not allowed on /jobs/7\"]}\
HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 35\r\ndate: D\r\n\r\n\
HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\ndate: D\r\nconnection: close\r\n\r\nhello";

#[test]
fn the_same_bytes_are_answered_in_both_worlds_however_the_requests_are_cut() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        for piece in [SENT.len(), 100, 7, 1] {
            let mut raw = Raw::connect(&host, &to).await;
            for sent in SENT.as_bytes().chunks(piece) {
                raw.send(sent.to_vec()).await;
            }
            assert_eq!(raw.rest().await, ANSWERED, "{piece}");
        }
    });
}

#[test]
fn a_connection_is_kept_between_requests() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        let mut raw = Raw::connect(&host, &to).await;
        for _ in 0..3 {
            raw.send(get("/hello")).await;
            assert_eq!(brief(&raw.until("hello").await), "200 hello");
            assert!(raw.is_silent_for(ms(20)).await);
        }
        assert_eq!(brief(&raw.ask(last("/hello")).await), "200 hello");
    });
}

#[test]
fn http_1_0_is_closed_unless_it_asks_to_be_kept() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        let mut raw = Raw::connect(&host, &to).await;
        let answer = raw.ask("GET /hello HTTP/1.0\r\n\r\n").await;
        assert_eq!((brief(&answer).as_str(), &answer[..8]), ("200 hello", "HTTP/1.0"));
        let mut raw = Raw::connect(&host, &to).await;
        raw.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        assert!(raw.until("hello").await.contains("connection: keep-alive\r\n"));
        assert_eq!(brief(&raw.ask("GET /hello HTTP/1.0\r\n\r\n").await), "200 hello");
    });
}

#[test]
fn chunks_are_put_together_and_trailers_left_out() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
            5;name=value\r\nhello\r\n7\r\n, world\r\n0\r\nX-Trailer: left out\r\n\r\n";
        for piece in [chunked.len(), 3, 1] {
            let mut raw = Raw::connect(&host, &to).await;
            for sent in chunked.as_bytes().chunks(piece) {
                raw.send(sent.to_vec()).await;
            }
            let answer = raw.until("hello, world").await;
            assert_eq!(brief(&answer), "200 hello, world");
            // What follows the chunks is the next request.
            assert_eq!(brief(&raw.ask(last("/hello")).await), "200 hello");
        }
    });
}

#[test]
fn a_body_is_asked_for_when_it_is_expected_to_be() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        let mut raw = Raw::connect(&host, &to).await;
        let head =
            "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n";
        raw.send(format!("{head}\r\n")).await;
        assert_eq!(raw.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
        assert!(raw.is_silent_for(ms(20)).await);
        raw.send("body").await;
        assert_eq!(brief(&raw.until("body").await), "200 body");
        // And not when it is refused.
        let large = head.replace("Length: 4", "Length: 40000000");
        assert!(raw.ask(format!("{large}\r\n")).await.starts_with("HTTP/1.1 413 "));
    });
}

#[test]
fn a_peer_that_has_closed_its_side_is_answered() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        let mut raw = Raw::connect(&host, &to).await;
        raw.send(get("/slow/50") + &get("/hello")).await;
        raw.stream.close();
        let both = raw.rest().await;
        assert_eq!(both.matches("HTTP/1.1 200 OK").count(), 2, "{both}");
        assert!(both.ends_with("hello"));
        for unfinished in
            ["GET /hel", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"]
        {
            let mut raw = Raw::connect(&host, &to).await;
            raw.send(unfinished).await;
            raw.stream.close();
            assert!(raw.rest().await.starts_with("HTTP/1.1 400 "), "{unfinished}");
        }
        let mut raw = Raw::connect(&host, &to).await;
        raw.stream.close();
        assert_eq!(raw.rest().await, "");
    });
}

#[test]
fn what_is_no_request_is_answered_400_and_the_connection_closed() {
    let malformed = [
        "\0\x01\x02\x03\r\n\r\n",
        "hello\r\n\r\n",
        "GET /hello\r\n\r\n",
        "GET /hello HTTP/3.7\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET /hello HTTP/1.1\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /hello?a=%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\na",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ];
    with_server(HttpLimits::default(), move |host, to, _| async move {
        for sent in malformed {
            let mut raw = Raw::connect(&host, &to).await;
            // What is answered before it is answered.
            let both = raw.ask(get("/hello") + sent + &get("/hello")).await;
            let (first, second) = both.split_once("hello").expect("the first is answered");
            assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{sent:?}");
            assert!(second.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{sent:?}: {second}");
            assert!(second.contains("\r\nconnection: close\r\n\r\n{\"errors\":[\""), "{second}");
            assert_eq!(
                second.matches("HTTP/1.1").count(),
                1 + second.matches("no HTTP/1.1").count()
            );
        }
    });
}

#[test]
fn what_is_smuggled_past_two_lengths_is_no_request() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        let mut raw = Raw::connect(&host, &to).await;
        let two = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\
            Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
        let answer = raw.ask(two.to_string() + &get("/hello")).await;
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert_eq!(brief(&answer), "200 a");
    });
}

#[test]
fn no_proxy_and_no_upgrade() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        let mut raw = Raw::connect(&host, &to).await;
        let answer = raw.ask("CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        let mut raw = Raw::connect(&host, &to).await;
        let upgrade =
            "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
        raw.send(upgrade).await;
        assert_eq!(brief(&raw.until("hello").await), "200 hello");
        let absolute = "GET http://a/hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        assert_eq!(brief(&raw.ask(absolute).await), "200 hello");
    });
}

#[test]
fn what_a_handler_may_not_answer_becomes_a_500() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        let mut raw = Raw::connect(&host, &to).await;
        let instead = "500 {\"errors\":[\"the answer can't be sent\"]}";
        for what in ["header", "status"] {
            raw.send(get(&format!("/unsendable/{what}"))).await;
            assert_eq!(brief(&raw.until("sent\"]}").await), instead);
        }
    });
}

#[test]
fn headers_come_in_their_order() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        let mut raw = Raw::connect(&host, &to).await;
        let names = (0..60).map(|n| format!("X-{}: {n}\r\n", n * 37 % 60)).collect::<String>();
        let request =
            format!("GET /headers HTTP/1.1\r\nHost: a\r\n{names}Connection: close\r\n\r\n");
        let expected = (0..60).map(|n| format!("x-{}={n};", n * 37 % 60)).collect::<String>();
        let answer = brief(&raw.ask(request).await);
        assert_eq!(answer, format!("200 host=a;{expected}connection=close;"));
    });
}

#[test]
fn a_large_answer_waits_for_a_slow_reader() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        let mut raw = Raw::connect(&host, &to).await;
        raw.send(last("/large/3000000")).await;
        host.sleep(ms(200)).await;
        let answer = raw.rest().await;
        assert_eq!(answer.split_once("\r\n\r\n").expect("a head").1.len(), 3_000_000);
    });
}

#[test]
fn the_date_is_what_the_clock_of_the_host_reads() {
    with_server(HttpLimits::default(), |host, to, _| async move {
        let client = HttpClient::new(&host, HttpClientLimits::default());
        for _ in 0..2 {
            let seconds = || host.wall().as_millis() / 1000;
            let before = seconds();
            let answer = client.request(&to, HttpRequest::get("/hello")).await.expect("an answer");
            let date = answer.headers.get("date").expect("there is a date");
            let date = httpdate::parse_http_date(date).expect("a date");
            let date = date.duration_since(std::time::UNIX_EPOCH).expect("it is later").as_secs();
            assert!((before..=seconds()).contains(&date), "{before} {date}");
            host.sleep(ms(2100)).await;
        }
    });
}
