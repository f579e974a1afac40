//! Whether the machine, or the control group we run in, is short of memory.
//!
//! Linux alone: elsewhere clean cache pages are taken by the system early enough, and no call tells us to hurry.

use std::path::Path;

/// Memory is short when less than this part of it is available.
const SHORT_PART: u64 = 10;
/// A control group is near its limit when less than this part of it is left.
const NEAR_PART: u64 = 4;

/// Where systems mount the control groups.
const GROUPS_FOLDER: &str = "/sys/fs/cgroup";

/// Whether cached pages should be given up at once rather than when the system asks.
pub fn memory_is_short() -> bool {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    machine_is_short(&read("/proc/meminfo")).unwrap_or(false)
        || group_is_near_limit(&read("/proc/self/cgroup"), Path::new(GROUPS_FOLDER))
}

fn machine_is_short(meminfo: &str) -> Option<bool> {
    let kib = |name: &str| -> Option<u64> {
        meminfo.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
    };
    Some(kib("MemAvailable:")? < kib("MemTotal:")? / SHORT_PART)
}

/// Looks at the limits of our group and of those around it; `memberships` is `/proc/self/cgroup`.
fn group_is_near_limit(memberships: &str, groups: &Path) -> bool {
    memberships.lines().any(|line| {
        // "4:memory:/a/b" names a group of version 1, "0::/a/b" one of version 2.
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { return false };
        let (top, files) = match controllers {
            "" => (groups.to_owned(), &VERSION_2),
            _ if controllers.split(',').any(|controller| controller == "memory") => (groups.join("memory"), &VERSION_1),
            _ => return false,
        };
        let own = top.join(group.trim_start_matches('/'));
        own.ancestors().take_while(|group| group.starts_with(&top)).any(|group| is_near_limit(group, files))
    })
}

/// How a version of control groups names its files.
struct GroupFiles {
    used: &'static str,
    limits: &'static [&'static str],
}

const VERSION_1: GroupFiles = GroupFiles { used: "memory.usage_in_bytes", limits: &["memory.limit_in_bytes"] };
const VERSION_2: GroupFiles = GroupFiles { used: "memory.current", limits: &["memory.max", "memory.high"] };

fn is_near_limit(group: &Path, files: &GroupFiles) -> bool {
    let read = |name: &str| -> Option<u64> { std::fs::read_to_string(group.join(name)).ok()?.trim().parse().ok() };
    let Some(used) = read(files.used) else { return false };
    // "max" is no number, and no limit.
    let mut limits = files.limits.iter().filter_map(|name| read(name));
    limits.any(|limit| limit.saturating_sub(used) < limit / NEAR_PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_short_of_memory_below_a_tenth() {
        let meminfo = |available: u64| format!("MemTotal:  1000 kB\nMemFree: 5 kB\nMemAvailable:  {available} kB\n");
        assert_eq!(machine_is_short(&meminfo(99)), Some(true));
        assert_eq!(machine_is_short(&meminfo(100)), Some(false));
        assert_eq!(machine_is_short("MemTotal: 1000 kB"), None);
    }

    #[test]
    fn the_limits_of_all_groups_around_us_count_in_both_versions() {
        let groups = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = groups.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        write("a/memory.current", "700\n");
        write("a/memory.max", "1000\n");
        write("a/b/memory.current", "700\n");
        write("a/b/memory.max", "max\n");
        write("memory/c/memory.usage_in_bytes", "700\n");
        write("memory/c/memory.limit_in_bytes", "1000\n");
        let near = |memberships: &str| group_is_near_limit(memberships, groups.path());
        let (version_2, version_1) = ("1:name=systemd:/\n0::/a/b\n", "3:cpu:/x\n4:blkio,memory:/c\n");
        assert!(!near(version_2) && !near(version_1));
        write("a/memory.current", "800\n");
        assert!(near(version_2), "the group around ours is near its limit");
        write("memory/c/memory.usage_in_bytes", "800\n");
        assert!(near(version_1));
        assert!(!near("0::/nowhere\n") && !near("no groups"));
    }
}
