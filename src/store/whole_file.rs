//! A file of the user's that appears whole or not at all.
//!
//! While it is written it has no name, where the system has such files: a program that is killed leaves nothing.
//! Elsewhere it has a hidden name beside its own; it is locked while it is written, and what a killed program left is
//! removed by one that writes into the same folder a day later.
//!
//! A file that has the name already is replaced only where that was agreed; otherwise what was written gets a free name
//! beside it, because it may have taken an hour.

use crate::error::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::NamedTempFile;

/// How the hidden names begin and end.
const HIDDEN_PREFIX: &str = ".microtome-";
const HIDDEN_SUFFIX: &str = ".part";

/// A hidden file that was not written to for so long was left behind. On a folder of a network a lock may hold on one
/// machine only, so that a file which another one is writing looks as if nobody was.
const LEFT_BEHIND: Duration = Duration::from_hours(24);

/// So many numbers are tried for a free name.
const MAX_NUMBER: u32 = 999;

/// What files of the user's may be read and written by, less what the user's mask takes away.
#[cfg(unix)]
const MODE: u32 = 0o666;

/// What becomes of a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays.
    Keep,
    /// It is replaced, as was agreed.
    Replace,
}

impl Existing {
    /// What somebody decided who was asked whether a file may be replaced.
    pub fn replaced_if(agreed: bool) -> Self {
        if agreed { Self::Replace } else { Self::Keep }
    }
}

/// Where a file is to be written. A path alone replaces nothing.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The file.
    pub path: &'a Path,
    /// What becomes of one that is there.
    pub existing: Existing,
}

impl<'a> Destination<'a> {
    /// A file that takes the place of one that is there.
    pub fn replacing(path: &'a Path) -> Self {
        Self { path, existing: Existing::Replace }
    }
}

impl<'a, P: AsRef<Path> + ?Sized> From<&'a P> for Destination<'a> {
    fn from(path: &'a P) -> Self {
        Self { path: path.as_ref(), existing: Existing::Keep }
    }
}

/// A file that is being written; it goes with this value unless it is published.
pub struct WholeFile {
    place: Place,
    path: PathBuf,
    existing: Existing,
}

/// Where the bytes are until they have their name.
enum Place {
    /// In a file without a name.
    #[cfg(target_os = "linux")]
    Nameless(File),
    /// Under a hidden name beside the final one.
    Hidden(NamedTempFile),
}

impl WholeFile {
    /// Starts a file; the folder must exist.
    pub fn create<'a>(to: impl Into<Destination<'a>>) -> Result<Self> {
        let to = to.into();
        sweep_beside(to.path);
        // Better said now than after an hour of writing.
        if to.existing == Existing::Keep && std::fs::symlink_metadata(to.path).is_ok() {
            return Err(Error::unsupported("this file is already there, choose another name", to.path));
        }
        #[cfg(target_os = "linux")]
        match nameless::create_in(folder_of(to.path)) {
            Ok(file) => {
                lock(&file);
                return Ok(Self::new(Place::Nameless(file), to));
            }
            // If nothing can be written here at all, the other way says so.
            Err(error) => tracing::debug!("no file without a name: {error}"),
        }
        Self::create_hidden(to)
    }

    fn new(place: Place, to: Destination<'_>) -> Self {
        Self { place, path: to.path.to_owned(), existing: to.existing }
    }

    fn create_hidden(to: Destination<'_>) -> Result<Self> {
        let folder = folder_of(to.path);
        loop {
            // The hidden name that the error carries says nothing to anybody.
            let failed = |e: io::Error| {
                Error::io("cannot write to this folder, choose another", io::Error::from(e.kind()), folder)
            };
            let hidden = hidden_names().tempfile_in(folder).map_err(failed)?;
            lock(hidden.as_file());
            // Another program may have swept it in the moment before it was locked.
            if hidden.path().exists() {
                return Ok(Self::new(Place::Hidden(hidden), to));
            }
        }
    }

    /// The file, open for reading and writing.
    pub fn file(&self) -> &File {
        self.place.file()
    }

    /// A path by which this process can open the file again, before it has its name.
    pub fn path_to_read(&self) -> PathBuf {
        match &self.place {
            #[cfg(target_os = "linux")]
            Place::Nameless(file) => nameless::path_of(file),
            Place::Hidden(file) => file.path().to_owned(),
        }
    }

    /// Waits for the disk and gives the file its name; what had that name before is gone in the same moment.
    ///
    /// Where that was not agreed and something of that name has appeared since the file was begun, or where what is there
    /// cannot be replaced, that stays, the file is kept under a free name beside it, and the error says so.
    pub fn publish(self) -> Result<()> {
        let Self { mut place, path, existing } = self;
        place.file().sync_all().map_err(|e| Error::io("cannot write", e, &path))?;
        let unnamed = |e| Error::io("cannot give the finished file its name", e, &path);
        let outcome = if existing == Existing::Replace { place.replace(&path) } else { place.take_free(&path) };
        let why = match outcome {
            Ok(()) => return Ok(()),
            Err((error, left)) => {
                place = left;
                match (existing, error.kind()) {
                    (Existing::Keep, io::ErrorKind::AlreadyExists) => "has appeared meanwhile and stays".to_owned(),
                    // Without anything in the way there is nothing that another name would help with.
                    _ if std::fs::symlink_metadata(&path).is_err() => return Err(unnamed(error)),
                    _ => format!("cannot be replaced ({error})"),
                }
            }
        };
        for number in 2..=MAX_NUMBER {
            let name = numbered(&path, number);
            place = match place.take_free(&name) {
                Ok(()) => {
                    let kept = name.file_name().unwrap_or_default().display();
                    let what = format!("a file of this name {why}, the new one is named {kept}");
                    return Err(Error::unsupported(what, &path));
                }
                Err((error, left)) if error.kind() == io::ErrorKind::AlreadyExists => left,
                Err((error, _)) => return Err(unnamed(error)),
            };
        }
        Err(Error::unsupported(format!("a file of this name {why}, choose another name"), &path))
    }
}

impl Place {
    fn file(&self) -> &File {
        match self {
            #[cfg(target_os = "linux")]
            Self::Nameless(file) => file,
            Self::Hidden(file) => file.as_file(),
        }
    }

    /// Gives the file a name, whether or not another has it; it is handed back where that fails.
    fn replace(self, path: &Path) -> std::result::Result<(), (io::Error, Self)> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Nameless(file) => nameless::replace(&file, path).map_err(|(error, hidden)| {
                (
                    error,
                    match hidden {
                        Some(hidden) => Self::Hidden(NamedTempFile::from_parts(file, hidden)),
                        None => Self::Nameless(file),
                    },
                )
            }),
            Self::Hidden(file) => file.persist(path).map(drop).map_err(|e| (e.error, Self::Hidden(e.file))),
        }
    }

    /// Gives the file a name that no other has; it is handed back where that fails.
    fn take_free(self, path: &Path) -> std::result::Result<(), (io::Error, Self)> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Nameless(file) => nameless::link(&file, path).map_err(|error| (error, Self::Nameless(file))),
            Self::Hidden(file) => match file.persist_noclobber(path) {
                Ok(_) => Ok(()),
                Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {
                    Err((refused.error, Self::Hidden(refused.file)))
                }
                Err(refused) => take_reserved(refused.file, path).map_err(|(error, file)| (error, Self::Hidden(file))),
            },
        }
    }
}

/// Gives a hidden file a free name where the file system has neither links nor a way to rename without replacing, as on
/// many a stick: an empty file takes the name first.
fn take_reserved(hidden: NamedTempFile, path: &Path) -> std::result::Result<(), (io::Error, NamedTempFile)> {
    if let Err(error) = File::create_new(path) {
        return Err((error, hidden));
    }
    hidden.persist(path).map(drop).map_err(|refused| {
        if let Err(error) = std::fs::remove_file(path) {
            tracing::debug!("an empty file keeps the name: {error}");
        }
        (refused.error, refused.file)
    })
}

/// `a.ome.tif` as `a (2).ome.tif`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let is_ome = |stem: &OsStr| Path::new(stem).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("ome"));
    let mut stem = path.file_stem().unwrap_or_default();
    let mut endings: Vec<&OsStr> = path.extension().into_iter().collect();
    if is_ome(stem) {
        endings.extend(Path::new(stem).extension());
        stem = Path::new(stem).file_stem().unwrap_or_default();
    }
    let mut name = OsString::from(stem);
    name.push(format!(" ({number})"));
    for ending in endings.into_iter().rev() {
        name.push(".");
        name.push(ending);
    }
    path.with_file_name(name)
}

/// Writes a small file, which appears whole or not at all and replaces one that is there; `failed` says what an error
/// means.
pub fn write_whole(path: &Path, bytes: &[u8], failed: &'static str) -> Result<()> {
    let whole = WholeFile::create(Destination::replacing(path))?;
    whole.file().write_all(bytes).map_err(|e| Error::io(failed, e, path))?;
    whole.publish()
}

/// The folder that a file lies in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes hidden files beside `path` that a killed program left behind.
fn sweep_beside(path: &Path) {
    // What cannot be looked at is left alone: writing says in time what is wrong with the folder.
    let Ok(entries) = std::fs::read_dir(folder_of(path)) else { return };
    for entry in entries.flatten() {
        // Opening a pipe would wait for its other end.
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file
            && is_hidden_name(&entry.file_name())
            && entry.metadata().is_ok_and(|metadata| is_left_behind(&metadata))
            && let Err(error) = remove_if_left(&entry.path())
        {
            tracing::debug!("a file that was left behind stays: {error}");
        }
    }
}

/// Whether a file was not written to for long. A time to come says nothing: the clocks differ.
fn is_left_behind(metadata: &std::fs::Metadata) -> bool {
    metadata.modified().is_ok_and(|at| at.elapsed().is_ok_and(|since| since >= LEFT_BEHIND))
}

fn is_hidden_name(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(HIDDEN_PREFIX) && name.ends_with(HIDDEN_SUFFIX))
}

fn hidden_names() -> tempfile::Builder<'static, 'static> {
    let mut names = tempfile::Builder::new();
    names.prefix(HIDDEN_PREFIX).suffix(HIDDEN_SUFFIX);
    // A temporary file is for the user's eyes only; what becomes of this one gets the usual rights.
    #[cfg(unix)]
    names.permissions(std::os::unix::fs::PermissionsExt::from_mode(MODE));
    names
}

/// Says that a file is being written, for as long as it is open.
#[cfg(not(windows))]
fn lock(file: &File) {
    if let Err(error) = file.lock() {
        // Where nothing can be locked, nothing is swept either.
        tracing::debug!("a file is not locked while it is written: {error}");
    }
}

/// Windows knows by itself which files are open, and a lock there would keep us from reading back what we wrote.
#[cfg(windows)]
fn lock(_file: &File) {}

/// Removes a hidden file unless somebody writes it.
#[cfg(not(windows))]
fn remove_if_left(path: &Path) -> io::Result<()> {
    // Opened for writing: some systems lock for nothing less.
    let file = std::fs::OpenOptions::new().write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => std::fs::remove_file(path),
        Err(std::fs::TryLockError::WouldBlock) => Ok(()),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Removes a hidden file unless somebody has it open.
#[cfg(windows)]
fn remove_if_left(path: &Path) -> io::Result<()> {
    use std::os::windows::fs::OpenOptionsExt as _;
    const DELETE: u32 = 0x0001_0000;
    const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;
    // Shared with nobody, so this fails where it is open, and it is gone once it is closed.
    let mut options = std::fs::OpenOptions::new();
    options.access_mode(DELETE).share_mode(0).custom_flags(FILE_FLAG_DELETE_ON_CLOSE).open(path).map(drop)
}

/// Files without a name, as Linux has them on most file systems.
#[cfg(target_os = "linux")]
mod nameless {
    use super::{File, MODE, Path, PathBuf, folder_of, hidden_names, io};
    use rustix::fs::{AtFlags, CWD, Mode, OFlags};
    use std::os::fd::AsRawFd as _;
    use tempfile::TempPath;

    /// A file that will lie in `folder`. Fails where one could not be given a name later: that must not come out after an
    /// hour of writing.
    pub fn create_in(folder: &Path) -> io::Result<File> {
        let trial = open_in(folder)?;
        // The name goes again at once.
        drop(hidden_names().make_in(folder, |name| link(&trial, name))?);
        open_in(folder)
    }

    fn open_in(folder: &Path) -> io::Result<File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        Ok(rustix::fs::open(folder, flags, Mode::from_raw_mode(MODE))?.into())
    }

    /// Where the system shows what this process has open.
    pub fn path_of(file: &File) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
    }

    /// Gives a file its name, whether or not another has it. Where that fails, it may have a hidden name by then: that must
    /// stay, since a file whose last name went cannot get another.
    pub fn replace(file: &File, path: &Path) -> Result<(), (io::Error, Option<TempPath>)> {
        match link(file, path) {
            // A link replaces nothing, but a file that has a name can be renamed over another.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let hidden = hidden_names().make_in(folder_of(path), |name| link(file, name)).map_err(|e| (e, None))?;
                hidden.into_temp_path().persist(path).map_err(|e| (e.error, Some(e.path)))
            }
            outcome => outcome.map_err(|error| (error, None)),
        }
    }

    /// Gives a file a name that no other has.
    pub fn link(file: &File, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::linkat(CWD, path_of(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::{Command, Stdio};

    /// Set for the child that is killed; holds the path it writes to.
    const CHILD_VARIABLE: &str = "MICROTOME_TEST_WHOLE_FILE";

    type Create = fn(Destination<'_>) -> Result<WholeFile>;
    const WAYS: [Create; 2] = [|to| WholeFile::create(to), WholeFile::create_hidden];

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<String> = entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_also_over_another_and_can_be_read_before() {
        for create in WAYS {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("a.tif");
            for text in ["first", "second"] {
                let whole = create(Destination::replacing(&path)).expect("created");
                whole.file().write_all(text.as_bytes()).expect("written");
                assert_eq!(std::fs::read_to_string(whole.path_to_read()).expect("readable"), text);
                assert_ne!(std::fs::read_to_string(&path).unwrap_or_default(), text);
                whole.publish().expect("published");
                assert_eq!(std::fs::read_to_string(&path).expect("there"), text);
                assert_eq!(names_in(folder.path()), ["a.tif"]);
            }
        }
    }

    #[test]
    fn a_file_that_is_not_published_leaves_what_was_there() {
        for create in WAYS {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("a.tif");
            std::fs::write(&path, "before").expect("written");
            let whole = create(Destination::replacing(&path)).expect("created");
            whole.file().write_all(b"half").expect("written");
            drop(whole);
            assert_eq!(names_in(folder.path()), ["a.tif"]);
            assert_eq!(std::fs::read_to_string(&path).expect("there"), "before");
        }
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_what_was_written_is_kept_beside_it() {
        for create in WAYS {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("a.tif");
            let whole = create(Destination::replacing(&path)).expect("created");
            whole.file().write_all(b"an hour of work").expect("written");
            std::fs::create_dir(&path).expect("a folder in the way");
            let error = whole.publish().expect_err("a folder has the name").to_string();
            assert!(error.starts_with("a file of this name cannot be replaced"), "{error}");
            assert!(error.contains("named a (2).tif: "), "{error}");
            assert_eq!(names_in(folder.path()), ["a (2).tif", "a.tif"]);
            assert_eq!(std::fs::read_to_string(folder.path().join("a (2).tif")).expect("there"), "an hour of work");
        }
    }

    #[test]
    fn a_file_that_appeared_meanwhile_stays_and_what_was_written_is_kept_beside_it() {
        for create in WAYS {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("a.1.ome.tif");
            for kept in ["a.1 (2).ome.tif", "a.1 (3).ome.tif"] {
                let whole = create((&path).into()).expect("created");
                whole.file().write_all(kept.as_bytes()).expect("written");
                std::fs::write(&path, "another's").expect("written");
                let error = whole.publish().expect_err("the name is taken").to_string();
                assert!(error.starts_with("a file of this name has appeared meanwhile"), "{error}");
                assert!(error.contains(&format!("named {kept}: ")), "{error}");
                assert_eq!(std::fs::read_to_string(&path).expect("there"), "another's");
                assert_eq!(std::fs::read_to_string(folder.path().join(kept)).expect("there"), kept);
                std::fs::remove_file(&path).expect("removed");
            }
            assert_eq!(names_in(folder.path()).len(), 2);
            // A free name is taken, and one that was taken before is said at once.
            create((&path).into()).and_then(WholeFile::publish).expect("published");
            let error = WholeFile::create(&path).map(drop).expect_err("it is there").to_string();
            assert!(error.starts_with("this file is already there, choose another name"), "{error}");
            assert_eq!(names_in(folder.path()).len(), 3);
        }
    }

    #[test]
    fn a_name_is_taken_from_nobody_also_where_nothing_but_renaming_works() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.tif");
        let hidden = || hidden_names().tempfile_in(folder.path()).expect("a file");
        take_reserved(hidden(), &path).expect("the name is free");
        std::fs::write(&path, "another's").expect("written");
        let (error, file) = take_reserved(hidden(), &path).expect_err("the name is taken");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        drop(file);
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "another's");
        assert_eq!(names_in(folder.path()), ["a.tif"]);
    }

    #[test]
    fn a_number_goes_before_the_ending() {
        for (name, second) in [
            ("a.tif", "a (2).tif"),
            ("b.OME.tiff", "b (2).OME.tiff"),
            ("c.1.png", "c.1 (2).png"),
            ("d", "d (2)"),
            (".ome.tif", ".ome (2).tif"),
        ] {
            assert_eq!(numbered(&Path::new("/x").join(name), 2), Path::new("/x").join(second));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_has_the_rights_that_any_new_file_of_the_user_has() {
        use std::os::unix::fs::PermissionsExt as _;
        for create in WAYS {
            let folder = tempfile::tempdir().expect("a folder");
            let [path, other] = ["a.tif", "b.tif"].map(|name| folder.path().join(name));
            create((&path).into()).and_then(WholeFile::publish).expect("published");
            std::fs::write(&other, "").expect("written");
            let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode();
            assert_eq!(mode(&path), mode(&other));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_is_seen_of_a_file_while_it_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let whole = WholeFile::create(&folder.path().join("a.tif")).expect("created");
        let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::WRONLY;
        if rustix::fs::open(folder.path(), flags, rustix::fs::Mode::RUSR).is_err() {
            println!("SKIPPED: this file system has no files without a name");
            return;
        }
        assert!(matches!(whole.place, Place::Nameless(_)));
        assert_eq!(names_in(folder.path()), Vec::<String>::new());
    }

    /// Makes the files of a folder as old as that.
    fn was_written_before(folder: &Path, since: Duration) {
        for name in names_in(folder) {
            let file = std::fs::OpenOptions::new().write(true).open(folder.join(name)).expect("a file");
            file.set_modified(std::time::SystemTime::now() - since).expect("its time");
        }
    }

    /// The child: it writes under a hidden name until it is killed.
    #[test]
    fn child_that_writes_until_it_is_killed() {
        let Some(path) = std::env::var_os(CHILD_VARIABLE) else { return };
        let whole = WholeFile::create_hidden(Path::new(&path).into()).expect("created");
        whole.file().write_all(b"half").expect("written");
        println!("\nwriting");
        // Ends with the parent, should it not kill us.
        std::io::stdin().read_to_end(&mut Vec::new()).expect("the parent's end");
    }

    #[test]
    fn what_is_being_written_is_left_alone_and_what_a_killed_program_left_goes_with_the_next_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.tif");
        let not_ours = folder.path().join("microtome.part");
        std::fs::write(&not_ours, "not ours").expect("written");
        let mut child = Command::new(std::env::current_exe().expect("the tests"))
            .args(["--exact", "--nocapture", "store::whole_file::tests::child_that_writes_until_it_is_killed"])
            .env(CHILD_VARIABLE, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        assert!(lines.map_while(io::Result::ok).any(|line| line == "writing"), "it begins");
        sweep_beside(&path);
        assert_eq!(names_in(folder.path()).len(), 2, "it is being written");
        was_written_before(folder.path(), LEFT_BEHIND);
        sweep_beside(&path);
        assert_eq!(names_in(folder.path()).len(), 2, "it is still locked");
        child.kill().and_then(|()| child.wait()).expect("it ends");
        for since in [Duration::ZERO, LEFT_BEHIND - Duration::from_mins(1)] {
            was_written_before(folder.path(), since);
            sweep_beside(&path);
            assert_eq!(names_in(folder.path()).len(), 2, "another machine may still write it");
        }
        was_written_before(folder.path(), LEFT_BEHIND);
        write_whole(&path, b"whole", "cannot write").expect("written");
        let mut names = names_in(folder.path());
        names.sort();
        assert_eq!(names, ["a.tif", "microtome.part"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_of_that_name_does_not_hold_up_the_sweep() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join(".microtome-pipe.part");
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
        sweep_beside(&folder.path().join("a.tif"));
        assert!(pipe.exists());
    }
}
