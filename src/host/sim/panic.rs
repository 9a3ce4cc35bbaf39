//! Panics of simulated tasks: kept for the history instead of being printed.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Once,
};

thread_local! {
    static SIMULATED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on the message of a simulated task's panic is kept for the history, not printed.
pub(super) fn capture() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !SIMULATED.get() {
                usual(info);
                return;
            }
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            LAST_PANIC.set(Some(format!("{} at {place}", text.unwrap_or_default())));
        }));
    });
}

/// Runs a step of a simulated task; the message and place of its panic otherwise.
pub(super) fn catch<T>(step: impl FnOnce() -> T) -> Result<T, String> {
    SIMULATED.set(true);
    let done = catch_unwind(AssertUnwindSafe(step));
    SIMULATED.set(false);
    done.map_err(|_| LAST_PANIC.take().unwrap_or_else(|| "unknown panic".to_string()))
}
