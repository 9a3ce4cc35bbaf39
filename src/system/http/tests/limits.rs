//! What a peer may take, and what it is told when it takes more.

use super::*;

/// Limits under which no time is over soon; each test shortens its own.
fn patient() -> HttpLimits {
    HttpLimits {
        idle_time: LONG,
        request_time: LONG,
        handler_time: LONG,
        answer_time: LONG,
        ..HttpLimits::default()
    }
}

/// Live, a loaded machine may take its time.
fn is_about(limit: Duration, took: Duration) -> bool {
    limit <= took && took < limit + ms(2000)
}

/// A request whose head has so many bytes, with headers of 1,000 bytes and less.
fn head_of(bytes: usize) -> String {
    let (first, end) = ("GET /hello HTTP/1.1\r\nHost: a\r\n", "Connection: close\r\n\r\n");
    let mut missing = bytes - first.len() - end.len();
    let mut head = first.to_string();
    while missing > 0 {
        let line = if missing > 2000 { 1000 } else { missing };
        head.push_str(&format!("x: {}\r\n", "y".repeat(line - 5)));
        missing -= line;
    }
    head + end
}

#[test]
fn a_head_has_bytes_and_headers_to_spend() {
    let limits = HttpLimits { header_bytes: 9000, headers: 20, ..HttpLimits::default() };
    let headers = |more: usize| {
        let lines = "x: y\r\n".repeat(18 + more);
        format!("GET /hello HTTP/1.1\r\nHost: a\r\n{lines}Connection: close\r\n\r\n")
    };
    let sent = [head_of(9000), head_of(9001), headers(0), headers(1), "x".repeat(20_000)];
    with_server(limits, move |host, to, _| async move {
        let mut statuses = Vec::new();
        for head in sent {
            let mut raw = Raw::connect(&host, &to).await;
            statuses.push(brief(&raw.ask(head).await));
        }
        let large = "431 {\"errors\":[\"the request's head is too large\"]}";
        assert_eq!(statuses, ["200 hello", large, "200 hello", large, large]);
    });
}

#[test]
fn a_target_has_bytes_to_spend() {
    let limits = HttpLimits { target_bytes: 100, ..HttpLimits::default() };
    with_server(limits, |host, to, _| async move {
        for (more, expected) in
            [(0, "200 hello"), (1, "414 {\"errors\":[\"the request's target is too long\"]}")]
        {
            let mut raw = Raw::connect(&host, &to).await;
            let target = format!("/hello?{}", "a".repeat(93 + more));
            assert_eq!(brief(&raw.ask(last(&target)).await), expected);
        }
    });
}

#[test]
fn a_body_has_bytes_to_spend() {
    let limits = HttpLimits { body_bytes: 1000, ..HttpLimits::default() };
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    let sized =
        |bytes: usize| format!("{head}Content-Length: {bytes}\r\n\r\n{}", "x".repeat(bytes));
    let chunked = |bytes: usize| {
        let (chunk, rest) = ("1F4\r\n".to_string() + &"x".repeat(500) + "\r\n", bytes - 500);
        let rest = format!("{rest:X}\r\n{}\r\n0\r\n\r\n", "x".repeat(rest));
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}{rest}")
    };
    // One that does not even begin, one that is far too long to fit any buffer on the way.
    let announced = format!("{head}Content-Length: 18446744073709551000\r\n\r\n");
    let all = [sized(1000), sized(1001), chunked(1000), chunked(1001), announced, sized(2_000_000)];
    with_server(limits, move |host, to, _| async move {
        let mut answers = Vec::new();
        for sent in all {
            let mut raw = Raw::connect(&host, &to).await;
            // The rest is taken and left, so that the answer arrives.
            answers.push(brief(&raw.ask(sent).await));
        }
        let whole = format!("200 {}", "x".repeat(1000));
        let large = "413 {\"errors\":[\"the request's body is larger than 1000 bytes\"]}";
        assert_eq!(answers, [&whole, large, &whole, large, large, large]);
    });
}

#[test]
fn a_request_that_does_not_come_in_time_is_answered_408_whatever_dribbles_in() {
    let slow = "408 {\"errors\":[\"the request did not come in time\"]}";
    let limits = HttpLimits { request_time: ms(300), ..patient() };
    with_server(limits, move |host, to, _| async move {
        let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let begun = [
            "GET /",
            "\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n",
            chunked,
        ];
        for (beginning, more) in begun.into_iter().zip(["a", "\r\n", "b", "1\r\nx\r\n"]) {
            let mut raw = Raw::connect(&host, &to).await;
            raw.send(get("/hello")).await;
            raw.until("hello").await;
            let began = host.now();
            raw.send(beginning).await;
            // For 4 s if it is not stopped.
            for _ in 0..200 {
                if !raw.is_silent_for(ms(20)).await {
                    break;
                }
                raw.send(more).await;
            }
            assert_eq!(brief(&raw.rest().await), slow, "{beginning:?}");
            assert!(is_about(ms(300), host.now() - began), "{:?}", host.now() - began);
        }
    });
}

#[test]
fn a_request_has_its_time_from_its_own_first_byte() {
    let limits = HttpLimits { request_time: ms(300), ..patient() };
    with_server(limits, |host, to, _| async move {
        let mut raw = Raw::connect(&host, &to).await;
        // Neither what is spent waiting before it counts, nor what a handler takes.
        host.sleep(ms(400)).await;
        for _ in 0..2 {
            raw.send(get("/slow/400") + "GET /hel").await;
            assert_eq!(brief(&raw.until("slept").await), "200 slept");
            raw.send("lo HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(brief(&raw.until("hello").await), "200 hello");
        }
    });
}

#[test]
fn a_connection_without_a_request_is_closed_without_an_answer() {
    let limits = HttpLimits { idle_time: ms(300), ..patient() };
    with_server(limits, |host, to, _| async move {
        let mut raw = Raw::connect(&host, &to).await;
        let began = host.now();
        assert_eq!(raw.rest().await, "");
        assert!(is_about(ms(300) - ms(10), host.now() - began));
        let mut raw = Raw::connect(&host, &to).await;
        host.sleep(ms(150)).await;
        raw.send(get("/hello")).await;
        raw.until("hello").await;
        let began = host.now();
        assert_eq!(raw.rest().await, "");
        assert!(is_about(ms(300) - ms(10), host.now() - began));
    });
}

#[test]
fn a_handler_that_takes_too_long_is_dropped_and_503_answered() {
    let limits = HttpLimits { handler_time: ms(300), ..patient() };
    with_server(limits, |host, to, dropped| async move {
        let mut raw = Raw::connect(&host, &to).await;
        let began = host.now();
        let answer = raw.ask(get("/endless")).await;
        assert_eq!(brief(&answer), "503 {\"errors\":[\"the request was not handled in time\"]}");
        assert!(answer.contains("\r\nconnection: close\r\n"));
        assert!(is_about(ms(300), host.now() - began));
        assert!(dropped.load(Ordering::Relaxed));
    });
}

#[test]
fn a_peer_that_takes_no_answer_is_cut() {
    let limits = HttpLimits { connections: 1, answer_time: ms(300), ..patient() };
    with_server(limits, |host, to, _| async move {
        let mut raw = Raw::connect(&host, &to).await;
        // More than any socket takes in.
        raw.send(get("/large/50000000")).await;
        host.sleep(ms(200)).await;
        let mut other = Raw::connect(&host, &to).await;
        assert!(other.rest().await.starts_with("HTTP/1.1 503 "), "there is one connection only");
        host.sleep(ms(600)).await;
        // Its place is free.
        let mut other = Raw::connect(&host, &to).await;
        assert_eq!(brief(&other.ask(last("/hello")).await), "200 hello");
        let mut taken = 0;
        while let Ok(Some(bytes)) = raw.stream.read().await {
            taken += bytes.len();
        }
        assert!(taken < 50_000_000, "{taken}");
    });
}

#[test]
fn a_connection_too_many_is_answered_503_until_another_ends() {
    let limits = HttpLimits { connections: 2, ..HttpLimits::default() };
    with_server(limits, |host, to, _| async move {
        let mut first = Raw::connect(&host, &to).await;
        let mut second = Raw::connect(&host, &to).await;
        for raw in [&mut first, &mut second] {
            raw.send(get("/hello")).await;
            raw.until("hello").await;
        }
        let mut third = Raw::connect(&host, &to).await;
        assert_eq!(
            third.ask(get("/hello")).await,
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
             content-length: 35\r\ndate: D\r\nconnection: close\r\n\r\n\
             {\"errors\":[\"too many connections\"]}"
        );
        // They are not disturbed.
        second.send(get("/hello")).await;
        second.until("hello").await;
        first.stream.close();
        assert_eq!(first.rest().await, "");
        host.sleep(ms(100)).await;
        let mut fourth = Raw::connect(&host, &to).await;
        assert_eq!(brief(&fourth.ask(last("/hello")).await), "200 hello");
    });
}

#[test]
fn those_turned_away_are_bounded_too() {
    let limits = HttpLimits { connections: 1, ..HttpLimits::default() };
    with_server(limits, |host, to, _| async move {
        let mut first = Raw::connect(&host, &to).await;
        first.send(get("/hello")).await;
        first.until("hello").await;
        // It is told, and does not go.
        let mut second = Raw::connect(&host, &to).await;
        second.until("connections\"]}").await;
        // Whether that reads an end or a broken stream, it reads no word.
        let mut third = host.connect(&to).await.expect("it listens");
        assert!(!matches!(third.read().await, Ok(Some(_))));
    });
}
