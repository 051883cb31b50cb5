//! A panic, in whatever thread: it ends the client, and never as a success.

use std::panic;
use std::process;

use crate::stdout::tell;

/// The status of a Rust program whose main thread panicked.
const STATUS: i32 = 101;

/// Makes a panic end the client at once, from now on. It does not leave the room: a host's room
/// would close for everybody, while a host that is merely gone may come back with this command.
pub(crate) fn end_on_panic(way_back: String) {
    let tell_panic = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        tell_panic(info);
        tell(&format!("that was a fault of the program; go on with: {way_back}"));
        process::exit(STATUS);
    }));
}

/// Runs this first on a panic, from now on.
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
            first_on_panic(|| tell("first"));
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
