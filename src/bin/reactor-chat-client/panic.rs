//! The panic hook: a panic in any thread ends the client with a failure.

use std::panic;
use std::process;

use crate::stdout::notify;

/// The exit status of a Rust program whose main thread panicked.
const STATUS: i32 = 101;

/// Makes every panic end the client at once. It does not leave the room: leaving would close a
/// host's room for everybody, while a host that is merely gone can come back with this command.
pub(crate) fn end_on_panic(way_back: String) {
    let tell_panic = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        tell_panic(info);
        notify(&format!("that was a fault of the program; go on with: {way_back}"));
        process::exit(STATUS);
    }));
}

/// Makes a panic call this before anything else.
pub(crate) fn first_on_panic(deed: impl Fn() + Send + Sync + 'static) {
    let next = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        deed();
        next(info);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::thread;
    use std::time::Duration;

    const CHILD: &str = "REACTOR_CHAT_TEST_PANICS";

    #[test]
    fn field_f_any_panic_exits_with_101() {
        if std::env::var_os(CHILD).is_some() {
            end_on_panic("reactor-chat-client join r1".into());
            first_on_panic(|| notify("first"));
            let _ = thread::spawn(|| panic!("a fault")).join();
            thread::sleep(Duration::from_secs(60));
        }
        let name = "panic::tests::field_f_any_panic_exits_with_101";
        let mut test = Command::new(std::env::current_exe().expect("a test"));
        let output = test.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output();
        let output = output.expect("a child");
        assert_eq!(output.status.code(), Some(STATUS));
        let told = String::from_utf8_lossy(&output.stderr);
        let places = ["first", "a fault", "go on with: reactor-chat-client join r1"]
            .map(|part| told.find(part).unwrap_or_else(|| panic!("no {part:?} in {told}")));
        assert!(places.is_sorted(), "{told}");
    }
}
