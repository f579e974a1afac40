//! A written file in the system's file manager.

use super::{Event, Shared};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Shows a file, on a thread of its own: a file manager may take its time to start.
pub(super) fn show_in_folder(shared: &Arc<Shared>, path: PathBuf) {
    let (for_thread, shown) = (shared.clone(), path.clone());
    let run = move || {
        if let Err(error) = show(&shown) {
            for_thread.send(not_shown(&error, &shown));
        }
    };
    if let Err(error) = std::thread::Builder::new().name("show-in-folder".into()).spawn(run) {
        shared.send(not_shown(&error, &path));
    }
}

fn not_shown(error: &std::io::Error, path: &Path) -> Event {
    let folder = path.parent().unwrap_or(path).display();
    let message = format!("the folder could not be shown ({error}), open it yourself: {folder}");
    Event::Problem { set: None, message }
}

#[cfg(target_os = "macos")]
fn show(path: &Path) -> std::io::Result<()> {
    std::process::Command::new("open").arg("-R").arg(path).status().map(drop)
}

#[cfg(windows)]
fn show(path: &Path) -> std::io::Result<()> {
    let mut select = std::ffi::OsString::from("/select,");
    select.push(path);
    std::process::Command::new("explorer").arg(select).status().map(drop)
}

#[cfg(not(any(target_os = "macos", windows)))]
fn show(path: &Path) -> std::io::Result<()> {
    // File managers that know the freedesktop interface select the file; any other opens the folder.
    let uri = format!("array:string:{}", file_uri(path));
    let selected = std::process::Command::new("dbus-send")
        .args(["--session", "--print-reply", "--dest=org.freedesktop.FileManager1", "/org/freedesktop/FileManager1"])
        .args(["org.freedesktop.FileManager1.ShowItems", &uri, "string:"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    if selected.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    let opened = std::process::Command::new("xdg-open").arg(folder).status()?;
    if opened.success() { Ok(()) } else { Err(std::io::Error::other("there is no program for folders")) }
}

/// A path as a URI, every byte that is no plain letter written as a number.
#[cfg(not(any(target_os = "macos", windows)))]
fn file_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let mut uri = String::from("file://");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => uri.push(byte.into()),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

#[cfg(all(test, unix, not(target_os = "macos")))]
mod tests {
    use super::*;

    #[test]
    fn any_path_becomes_a_uri_that_file_managers_read() {
        assert_eq!(file_uri(Path::new("/a b/ü,1.tif")), "file:///a%20b/%C3%BC%2C1.tif");
    }
}
