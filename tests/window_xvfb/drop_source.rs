//! The other side of a drag-and-drop: a program that files are dragged from, after the XDND protocol, version 5.

use crate::display::{Display, Window};
use microtome::geom::Point;
use std::path::Path;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ClientMessageEvent, ConnectionExt, CreateWindowAux, EventMask, PropMode, SELECTION_NOTIFY_EVENT,
    SelectionNotifyEvent, SelectionRequestEvent, WindowClass,
};
use x11rb::wrapper::ConnectionExt as _;

/// Drags a file onto a place of a window and lets go; returns when the window has taken it.
pub fn drop_file(display: &Display, target: Window, place: Point, file: &Path) {
    let connection = display.connection();
    let source = connection.generate_id().expect("X id");
    connection
        .create_window(0, source, display.root(), 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &CreateWindowAux::new())
        .expect("X window");
    let selection = atom(display, "XdndSelection");
    let uri_list = atom(display, "text/uri-list");
    let copy = atom(display, "XdndActionCopy");
    connection.set_selection_owner(source, selection, x11rb::CURRENT_TIME).expect("X selection");
    let list = format!("{}\r\n", file_uri(file));

    let send = |name: &str, data: [u32; 5]| {
        let event = ClientMessageEvent::new(32, target.id, atom(display, name), data);
        connection.send_event(false, target.id, EventMask::NO_EVENT, event).expect("X event");
        connection.flush().expect("X flush");
    };
    // The version lies in the top byte; no flag says that there are more than three types.
    send("XdndEnter", [source, 5 << 24, uri_list, 0, 0]);
    let origin = target.origin;
    let (x, y) = ((origin.x + place.x) as u32, (origin.y + place.y) as u32);
    // A hand never comes in one step.
    for step in [2, 1, 0] {
        send("XdndPosition", [source, 0, (x + step) << 16 | (y + step), x11rb::CURRENT_TIME, copy]);
        let status = answer(display, "XdndStatus", uri_list, &list);
        assert_eq!(status[1] & 1, 1, "the window would not take the file");
    }
    send("XdndDrop", [source, 0, x11rb::CURRENT_TIME, 0, 0]);
    answer(display, "XdndFinished", uri_list, &list);
}

/// Waits for a message of the window, and meanwhile hands out what is dragged when asked for it.
fn answer(display: &Display, name: &str, uri_list: Atom, list: &str) -> [u32; 5] {
    let wanted = atom(display, name);
    display.wait_until(name, || {
        while let Some(event) = display.connection().poll_for_event().expect("X connection") {
            match event {
                Event::SelectionRequest(request) => hand_out(display, &request, uri_list, list),
                Event::ClientMessage(message) if message.type_ == wanted => return Some(message.data.as_data32()),
                _ => {}
            }
        }
        None
    })
}

fn hand_out(display: &Display, request: &SelectionRequestEvent, uri_list: Atom, list: &str) {
    let connection = display.connection();
    let targets = atom(display, "TARGETS");
    let property = if request.property == x11rb::NONE { request.target } else { request.property };
    let handed = if request.target == uri_list {
        let bytes = list.as_bytes();
        connection.change_property8(PropMode::REPLACE, request.requestor, property, uri_list, bytes).is_ok()
    } else if request.target == targets {
        let offer = [uri_list];
        connection.change_property32(PropMode::REPLACE, request.requestor, property, AtomEnum::ATOM, &offer).is_ok()
    } else {
        false
    };
    let notice = SelectionNotifyEvent {
        response_type: SELECTION_NOTIFY_EVENT,
        sequence: 0,
        time: request.time,
        requestor: request.requestor,
        selection: request.selection,
        target: request.target,
        property: if handed { property } else { x11rb::NONE },
    };
    connection.send_event(false, request.requestor, EventMask::NO_EVENT, notice).expect("X event");
    connection.flush().expect("X flush");
}

fn atom(display: &Display, name: &str) -> Atom {
    display.connection().intern_atom(false, name.as_bytes()).expect("X atom").reply().expect("X atom").atom
}

/// A file as a URI, with everything but plain letters and signs percent-encoded.
fn file_uri(file: &Path) -> String {
    let path = file.to_str().expect("the test's path is text");
    let encoded: String = path
        .bytes()
        .map(|b| match b {
            b'/' | b'.' | b'-' | b'_' | b'~' => char::from(b).to_string(),
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect();
    format!("file://{encoded}")
}

#[test]
fn a_space_in_a_path_is_percent_encoded() {
    assert_eq!(file_uri(Path::new("/tmp/a b/\u{e9}.tif")), "file:///tmp/a%20b/%C3%A9.tif");
}
