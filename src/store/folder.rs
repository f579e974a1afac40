//! The folder of one store, and the lock that keeps other programs off it.

use super::directory::StoreId;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const LOCK_NAME: &str = "lock";
const ABOUT_NAME: &str = "about.json";
/// How the names of private stores begin: those that no later run can find by name.
pub const PRIVATE_PREFIX: &str = "tmp-";
/// How they begin in the system's folder for temporary files, which belongs to everybody.
pub const STRAY_PREFIX: &str = "microtome-tmp-";
/// How often a folder that somebody deletes under our hands is made again.
const MAX_ATTEMPTS: u32 = 100;

/// Something about a store that the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreNote {
    /// Another program has the image open.
    InUse,
    /// Files in the cache folder cannot be locked.
    LockingRefused {
        /// The cache folder.
        root: PathBuf,
        /// Where the store is instead.
        folder: PathBuf,
    },
}

impl std::fmt::Display for StoreNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InUse => {
                write!(f, "another window has this image open; this one keeps a copy of its own until it is closed")
            }
            Self::LockingRefused { root, folder } => write!(
                f,
                "files cannot be locked in {}, so this image is kept only until it is closed, in {}",
                root.display(),
                folder.display()
            ),
        }
    }
}

/// What a folder says about itself, for `cache list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// What the store holds, as the user knows it: the path that was opened.
    pub label: String,
    /// Tiles of the set, stored or not.
    pub tile_count: u64,
}

/// A store's folder, locked while this lives.
pub struct Folder {
    path: PathBuf,
    /// `None` where the system locks nothing, not even temporary files.
    lock: Option<File>,
    note: Option<StoreNote>,
    private: bool,
}

/// The outcome of asking for a lock.
pub enum Locking {
    /// The folder is ours.
    Ours(Folder),
    /// Another store object holds it, here or in another program.
    Busy,
    /// This file system locks nothing.
    Refused,
}

impl Folder {
    /// The folder of a store, made if it is not there; a private one where it is in use or cannot be locked.
    pub fn open(root: &Path, id: StoreId) -> Result<Self> {
        make_root(root)?;
        match Self::lock(&root.join(id.folder_name()))? {
            Locking::Ours(folder) => Ok(folder),
            Locking::Busy => {
                let mut folder = Self::private(root)?;
                folder.note = Some(StoreNote::InUse);
                Ok(folder)
            }
            Locking::Refused => Self::elsewhere(root),
        }
    }

    /// A folder of its own that is removed when the store is closed.
    pub fn private(root: &Path) -> Result<Self> {
        make_root(root)?;
        match Self::make_private(root, PRIVATE_PREFIX)? {
            Some(folder) => Ok(folder),
            None => Self::elsewhere(root),
        }
    }

    /// Makes a folder where it is missing and takes its lock.
    pub fn lock(path: &Path) -> Result<Locking> {
        for _ in 0..MAX_ATTEMPTS {
            make_folder(path)?;
            let lock_path = path.join(LOCK_NAME);
            let lock = match open_private(&lock_path) {
                Ok(lock) => lock,
                // Deleted in between, by a sweep or a `cache clear`.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::io("cannot create", e, &lock_path)),
            };
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Locking::Busy),
                Err(TryLockError::Error(error)) => {
                    tracing::info!("no locks: {error}: {}", lock_path.display());
                    return Ok(Locking::Refused);
                }
            }
            // The lock may be one on a file that was deleted before we got it: then it protects nothing.
            if is_same_file(&lock, &lock_path) {
                return Ok(Locking::Ours(Self { path: path.to_owned(), lock: Some(lock), note: None, private: false }));
            }
        }
        Ok(Locking::Busy)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the user should know about it.
    pub fn note(&self) -> Option<&StoreNote> {
        self.note.as_ref()
    }

    /// Whether no later run finds it.
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// Writes down what it holds, and that it was used now.
    pub fn describe(&self, about: &About) -> Result<()> {
        let path = self.path.join(ABOUT_NAME);
        let fail = |e| Error::io("cannot write", e, &path);
        if read_about(&self.path).as_ref() != Some(about) {
            let text = serde_json::to_vec(about).map_err(|e| fail(e.into()))?;
            let mut file = tempfile::NamedTempFile::new_in(&self.path).map_err(fail)?;
            file.write_all(&text).map_err(fail)?;
            file.persist(&path).map_err(|e| fail(e.error))?;
        }
        match &self.lock {
            Some(lock) => lock.set_modified(SystemTime::now()).map_err(fail),
            None => Ok(()),
        }
    }

    /// Makes the names in it durable; for what is in the files see to yourself.
    pub fn sync(&self) -> Result<()> {
        // Windows has no such call, and needs none.
        #[cfg(unix)]
        File::open(&self.path)
            .and_then(|folder| folder.sync_all())
            .map_err(|e| Error::io("cannot write out", e, &self.path))?;
        Ok(())
    }

    /// Removes the folder and all that is in it, while it is still locked.
    pub fn remove(self) -> Result<()> {
        let mut doomed = self.path.clone();
        // Under a private name first: should the removal be interrupted, the next start's sweep goes on with it, and
        // nobody takes half a store for a whole one.
        if !self.private
            && let Some(root) = self.path.parent()
        {
            let name = format!("{PRIVATE_PREFIX}{}", self.path.file_name().unwrap_or_default().display());
            let renamed = root.join(name);
            match std::fs::rename(&self.path, &renamed) {
                Ok(()) => doomed = renamed,
                // Windows renames no folder with open files.
                Err(error) => tracing::debug!("removed in place: {error}: {}", self.path.display()),
            }
        }
        match std::fs::remove_dir_all(&doomed) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("cannot remove", e, &doomed)),
            _ => Ok(()),
        }
    }

    fn make_private(parent: &Path, prefix: &str) -> Result<Option<Self>> {
        for _ in 0..MAX_ATTEMPTS {
            let made = tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
            let path = made.map_err(|e| Error::io("cannot create a folder in", e, parent))?.keep();
            match Self::lock(&path)? {
                Locking::Ours(folder) => return Ok(Some(Self { private: true, ..folder })),
                // A sweep was faster and is removing it.
                Locking::Busy => {}
                Locking::Refused => {
                    std::fs::remove_dir_all(&path).map_err(|e| Error::io("cannot remove", e, &path))?;
                    return Ok(None);
                }
            }
        }
        Err(Error::unsupported("cannot keep a folder of its own", parent))
    }

    /// A private folder among the system's temporary files, for a cache folder on a file system without locks.
    fn elsewhere(root: &Path) -> Result<Self> {
        let parent = std::env::temp_dir();
        let folder = match Self::make_private(&parent, STRAY_PREFIX)? {
            Some(folder) => folder,
            None => {
                // Nothing can be locked anywhere. A random name is all there is to keep others off.
                let made = tempfile::Builder::new().prefix(STRAY_PREFIX).tempdir_in(&parent);
                let path = made.map_err(|e| Error::io("cannot create a folder in", e, &parent))?.keep();
                Self { path, lock: None, note: None, private: true }
            }
        };
        let note = StoreNote::LockingRefused { root: root.to_owned(), folder: folder.path.clone() };
        Ok(Self { note: Some(note), ..folder })
    }
}

/// What a folder says about itself, if it does.
pub fn read_about(folder: &Path) -> Option<About> {
    /// Paths are short; anything longer is not ours.
    const MAX_ABOUT_BYTES: u64 = 64 << 10;
    let file = File::open(folder.join(ABOUT_NAME)).ok()?;
    serde_json::from_reader(std::io::Read::take(file, MAX_ABOUT_BYTES)).ok()
}

/// When a store was used last.
pub fn last_used(folder: &Path) -> SystemTime {
    let touched = std::fs::metadata(folder.join(LOCK_NAME)).and_then(|m| m.modified());
    touched.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Fails where no file can be written in the cache folder: on a read-only disk, or in a folder of somebody else.
pub fn check_writable(root: &Path) -> Result<()> {
    tempfile::tempfile_in(root)
        .map(drop)
        .map_err(|e| Error::io("cannot write in the cache folder, choose another one with --cache-dir", e, root))
}

/// Makes the cache folder where it is missing, with those above it.
pub fn make_root(root: &Path) -> Result<()> {
    private_builder().recursive(true).create(root).map_err(|e| Error::io("cannot create the cache folder", e, root))
}

fn make_folder(path: &Path) -> Result<()> {
    match private_builder().create(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => restrict(path),
        Err(e) => Err(Error::io("cannot create a folder in the cache", e, path)),
    }
}

fn private_builder() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Whatever was done to an existing folder of ours, others have no business in it.
fn restrict(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = std::fs::symlink_metadata(path).map_err(|e| Error::io("cannot read", e, path))?;
        if metadata.permissions().mode() & 0o777 != 0o700 {
            let restricted = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700));
            restricted.map_err(|e| Error::io("cannot close to other users", e, path))?;
        }
    }
    #[cfg(not(unix))]
    debug_assert!(path.is_dir());
    Ok(())
}

fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Elsewhere a file that is open keeps its name until it is closed.
#[cfg(not(unix))]
fn is_same_file(_file: &File, path: &Path) -> bool {
    path.exists()
}
