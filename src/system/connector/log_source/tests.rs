//! Batches, parameters, and what was handled.

use super::*;

#[test]
fn a_log_that_ends_before_what_was_read_is_refused() {
    let batch = |first, records, end| LogBatch {
        first,
        records: vec![Bytes::from_static(b"a"); records],
        end,
    };
    assert_eq!(after("t", 3, &batch(3, 2, 5)), Ok(5));
    assert_eq!(after("t", 3, &batch(3, 0, 3)), Ok(3), "nothing new");
    assert!(after("t", 3, &batch(2, 2, 5)).is_err());
    let gone = after("t", 3, &batch(3, 0, 2)).expect_err("it was read");
    assert!(gone.contains("up to offset 3") && gone.contains("ends at 2"), "{gone}");
}

#[test]
fn parameters_that_say_nothing_sensible_are_refused() {
    let bounded = LogSourceParameters::new("t", vec![3, 4]);
    assert!(LogSource::new(bounded.clone()).is_ok());
    assert!(LogSource::new(LogSourceParameters::unbounded("t", vec![7])).is_ok());
    assert!(LogSource::new(LogSourceParameters::new("t", vec![])).is_err(), "no partition");
    let begins = |start| LogSourceParameters { start, ..bounded.clone() };
    assert!(LogSource::new(begins(vec![1, 2, 3])).is_err(), "more partitions begin than end");
    assert!(LogSource::new(begins(vec![1])).is_ok(), "the other one begins at 0");
    assert!(LogSource::new(LogSourceParameters { records_max: 0, ..bounded }).is_err());
    let blind =
        LogSourceParameters { discovery_ms: 0, ..LogSourceParameters::unbounded("t", vec![0]) };
    assert!(LogSource::new(blind).is_err());
}

#[test]
fn what_was_read_and_not_handled_is_read_once_more() {
    let mut source = LogSource::new(LogSourceParameters::unbounded("t", vec![0, 0])).unwrap();
    source.offsets = BTreeMap::from([(0, 10), (2, 7)]);
    source.last = 2;
    assert_eq!(source.handled(0), BTreeMap::from([(0, 10), (2, 7)]));
    assert_eq!(source.handled(3), BTreeMap::from([(0, 10), (2, 4)]));
}

#[test]
fn a_topic_and_where_it_ends_are_enough() {
    let written: LogSourceParameters =
        serde_json::from_str(r#"{"topic": "t", "stop": [3, 4]}"#).unwrap();
    assert_eq!(written, LogSourceParameters::new("t", vec![3, 4]));
    let endless: LogSourceParameters = serde_json::from_str(r#"{"topic": "t"}"#).unwrap();
    assert_eq!(endless, LogSourceParameters::unbounded("t", vec![]));
    assert_eq!((endless.partitions(), endless.start(7)), (0, 0));
}
