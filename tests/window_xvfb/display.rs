//! A screen of our own, a program on it, and a hand: Xvfb, the program under test, xdotool.

use crate::picture::Picture;
use microtome::geom::Point;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt, ImageFormat, InputFocus, MapState};
use x11rb::rust_connection::RustConnection;

/// The longest wait for anything; far longer than it takes, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the screen is looked at while waiting.
const GLANCE: Duration = Duration::from_millis(40);

/// An X server with nothing on it.
pub struct Display {
    server: Child,
    name: String,
    connection: RustConnection,
    root: u32,
}

/// A window of the program: where it lies on the screen, in pixels.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// X's number for it.
    pub id: u32,
    /// The top left corner.
    pub origin: Point,
    width: u16,
    height: u16,
}

impl Window {
    /// The middle of the window, from its own corner.
    pub fn middle(self) -> Point {
        Point::new(f64::from(self.width / 2), f64::from(self.height / 2))
    }
}

/// A started program, ended when the test ends.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Display {
    /// Starts an X server on a free number; says so and returns `None` where the tools are not there.
    pub fn start() -> Option<Self> {
        for tool in ["Xvfb", "xdotool"] {
            let found =
                std::env::var_os("PATH").is_some_and(|p| std::env::split_paths(&p).any(|d| d.join(tool).exists()));
            if !found {
                println!("SKIPPED: the window test, because {tool} is not installed (scripts/test installs it)");
                return None;
            }
        }
        // The server picks a free number itself and writes it to its standard output.
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1400x900x24", "-nolisten", "tcp", "-noreset"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts");
        let mut number = String::new();
        BufReader::new(server.stdout.take().expect("piped")).read_line(&mut number).expect("Xvfb tells its number");
        let name = format!(":{}", number.trim());
        let (connection, screen) = x11rb::connect(Some(&name)).expect("Xvfb answers");
        let root = connection.setup().roots[screen].root;
        Some(Self { server, name, connection, root })
    }

    /// The connection to the server.
    pub fn connection(&self) -> &RustConnection {
        &self.connection
    }

    /// The window that all others lie in.
    pub fn root(&self) -> u32 {
        self.root
    }

    /// Starts a program on this display, with all it may keep in `folder`.
    pub fn start_program(&self, program: &str, folder: &Path) -> Program {
        let runtime = folder.join("runtime");
        std::fs::create_dir(&runtime).expect("folder");
        std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).expect("rights");
        let log = folder.join("log.txt");
        let output = std::fs::File::create(&log).expect("log");
        let child = Command::new(program)
            .arg("--cache-dir")
            .arg(folder.join("cache"))
            .env("DISPLAY", &self.name)
            .env_remove("WAYLAND_DISPLAY")
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("HOME", folder)
            .env("XDG_CONFIG_HOME", folder.join("config"))
            .env("XDG_DATA_HOME", folder.join("data"))
            .env("XDG_CACHE_HOME", folder.join("cache-home"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("log"))
            .stderr(output)
            .spawn()
            .expect("the program starts");
        Program { child, log }
    }

    /// Waits for the program's window, whose title contains `title` in any case, and gives it the keyboard.
    pub fn wait_for_window(&self, program: &mut Program, title: &str) -> Window {
        let id = self.wait_until("the window", || {
            if let Some(status) = program.child.try_wait().expect("a child") {
                let log = std::fs::read_to_string(&program.log).unwrap_or_default();
                panic!("the program ended with {status} before it opened a window:\n{log}");
            }
            self.windows().into_iter().find(|&id| self.is_shown(id) && self.title(id).to_lowercase().contains(title))
        });
        self.connection.set_input_focus(InputFocus::PARENT, id, x11rb::CURRENT_TIME).expect("X focus");
        self.connection.flush().expect("X flush");
        self.measured(id)
    }

    fn windows(&self) -> Vec<u32> {
        self.connection.query_tree(self.root).expect("X tree").reply().expect("X tree").children
    }

    fn is_shown(&self, id: u32) -> bool {
        let attributes = self.connection.get_window_attributes(id).expect("X attributes").reply();
        attributes.is_ok_and(|a| a.map_state == MapState::VIEWABLE)
    }

    fn title(&self, id: u32) -> String {
        let get = self.connection.get_property(false, id, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 256);
        let reply = get.expect("X property").reply();
        reply.map(|r| String::from_utf8_lossy(&r.value).into_owned()).unwrap_or_default()
    }

    fn measured(&self, id: u32) -> Window {
        let geometry = self.connection.get_geometry(id).expect("X geometry").reply().expect("X geometry");
        let origin = Point::new(f64::from(geometry.x), f64::from(geometry.y));
        Window { id, origin, width: geometry.width, height: geometry.height }
    }

    /// What the whole screen shows now.
    pub fn picture(&self) -> Picture {
        let root = self.connection.get_geometry(self.root).expect("X geometry").reply().expect("X geometry");
        let image = self
            .connection
            .get_image(ImageFormat::Z_PIXMAP, self.root, 0, 0, root.width, root.height, u32::MAX)
            .expect("X image")
            .reply()
            .expect("X image");
        assert_eq!(image.depth, 24, "Xvfb was started with 24 bits");
        Picture::new(root.width.into(), root.height.into(), image.data)
    }

    /// Moves the pointer to a place on the screen.
    pub fn move_pointer(&self, to: Point) {
        self.hand(&["mousemove", &to.x.to_string(), &to.y.to_string()]);
    }

    /// Presses and releases a button where the pointer is; 4 and 5 are the wheel, up and down.
    pub fn click(&self, button: &str) {
        self.hand(&["click", button]);
    }

    /// Drags with the left button, and rests before letting go, so that the image gets no swing.
    pub fn drag(&self, from: Point, to: Point) {
        const STEPS: i32 = 10;
        self.move_pointer(from);
        self.hand(&["mousedown", "1"]);
        for step in 1..=STEPS {
            let place = from + (to - from) * (f64::from(step) / f64::from(STEPS));
            self.move_pointer(Point::new(place.x.round(), place.y.round()));
        }
        // A hand that rests: no position changes for longer than any inertia looks back.
        self.hand(&["sleep", "0.4", "mouseup", "1"]);
    }

    /// Presses a key, or several held together as in `ctrl+q`.
    pub fn key(&self, window: Window, keys: &str) {
        self.connection.set_input_focus(InputFocus::PARENT, window.id, x11rb::CURRENT_TIME).expect("X focus");
        self.connection.flush().expect("X flush");
        self.hand(&["key", keys]);
    }

    /// Gives the window another size and waits until it has it.
    pub fn resize(&self, window: Window, width: u16, height: u16) {
        self.hand(&["windowsize", &window.id.to_string(), &width.to_string(), &height.to_string()]);
        self.wait_until("the window's new size", || {
            let now = self.measured(window.id);
            ((now.width, now.height) == (width, height)).then_some(())
        });
    }

    fn hand(&self, arguments: &[&str]) {
        let status = Command::new("xdotool").args(arguments).env("DISPLAY", &self.name).status();
        assert!(status.expect("xdotool runs").success(), "xdotool {arguments:?} failed");
    }

    /// Looks again and again until there is an answer; fails, with a picture of the screen, when patience ends.
    pub fn wait_until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            if start.elapsed() > PATIENCE {
                let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("window-failure.png");
                let saved = self.picture().save(&path);
                let picture = saved.map_or_else(|e| e.to_string(), |()| path.display().to_string());
                panic!("waited {} s in vain for: {what}; the screen: {picture}", PATIENCE.as_secs());
            }
            std::thread::sleep(GLANCE);
        }
    }

    /// Waits for the program's end.
    pub fn wait_for_exit(&self, program: &mut Program) -> ExitStatus {
        self.wait_until("the program's end", || program.child.try_wait().expect("a child"))
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        end(&mut self.server);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a process that may have ended already.
fn end(child: &mut Child) {
    if child.kill().is_ok() {
        child.wait().expect("a child that was killed ends");
    }
}
