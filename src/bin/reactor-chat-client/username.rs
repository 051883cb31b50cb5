//! The default user name: the login name.

use std::ffi::OsString;

use nix::unistd::{Uid, User};

/// Returns the login name if it is known and valid text. The session's variables come first, then
/// the user database, for example in a container without a session.
pub(crate) fn name(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<String> {
    let of_session = ["LOGNAME", "USER"].into_iter().filter_map(variable);
    let named = of_session.filter_map(|name| name.into_string().ok()).find(|name| !name.is_empty());
    named.or_else(|| User::from_uid(Uid::current()).ok().flatten().map(|user| user.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn session_name_comes_before_system() {
        let name_with = |known: &[(&str, &str)]| {
            let known: Vec<(String, OsString)> =
                known.iter().map(|(name, value)| ((*name).into(), value.into())).collect();
            name(&move |asked| known.iter().find(|(name, _)| name == asked).map(|v| v.1.clone()))
        };
        assert_eq!(name_with(&[("USER", "b"), ("LOGNAME", "a")]).as_deref(), Some("a"));
        assert_eq!(name_with(&[("USER", "b"), ("LOGNAME", "")]).as_deref(), Some("b"));
        let output = Command::new("id").arg("-un").output().expect("id(1)");
        let id = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(name_with(&[]).as_deref(), Some(id.trim_end()));
    }
}
