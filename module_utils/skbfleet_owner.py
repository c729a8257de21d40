# SPDX-License-Identifier: Apache-2.0
"""Who could have prepared a directory: root runs, writes and removes files there, and follows nobody's links.

The directory of all runs lies in one that everybody may write to. It, and every run in it, must belong to root alone,
and nobody else may be able to exchange it or what is above it.
"""
import os
import stat

from ansible.module_utils.skbfleet_rundir import RunError

MODE = 0o711  # others may pass, and see nothing: the ssh user fetches the bundle from a directory of its own below


def us():
    """Return who the directory has to belong to, in words."""
    return "root" if os.geteuid() == 0 else "uid %d" % os.geteuid()


def check_owner(path):
    """Refuse a directory that someone else could have prepared."""
    try:
        info = os.lstat(path)
    except OSError as error:
        raise RunError("%s: %s" % (path, error.strerror)) from error
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o022:
        raise RunError("%s must be a directory that belongs to %s alone, and no link: remove it, or choose another "
                       "capture_remote_dir" % (path, us()))


def check_way(path):
    """Refuse a path on which someone else could exchange a directory, or has put a link."""
    above = os.path.dirname(path)
    for way in (path, os.path.join(os.path.realpath(above), "skbfleet")):  # as it is written, and where that leads
        _check_parents(path, way.strip("/").split("/"))


def _check_parents(path, parts):
    for end in range(len(parts)):
        place = "/" + "/".join(parts[:end])
        try:
            info = os.lstat(place)
        except FileNotFoundError:
            return  # nobody can make what is missing but who owns what is above, which was looked at
        except OSError as error:
            raise RunError("%s: %s" % (place, error.strerror)) from error
        exchangeable = (stat.S_ISDIR(info.st_mode) and info.st_mode & 0o022 and not info.st_mode & stat.S_ISVTX)
        if info.st_uid not in (0, os.geteuid()) or exchangeable:
            raise RunError("capture_remote_dir is %s: nobody but %s may own or change the directories above it, as "
                           "others may with %s; choose another one" % (path, us(), place))


def check_base(base):
    """Refuse the directory of all runs if it is there and is not ours; return whether it is there."""
    check_way(base)
    if not os.path.lexists(base):
        return False
    check_owner(base)
    return True


def check_run(run_dir):
    """Refuse a run's directory, which is there, unless it and the directory of all runs are ours."""
    check_base(os.path.dirname(run_dir))
    check_owner(run_dir)


def make(directory):
    """Make a directory of ours; return whether it was missing. Whoever was faster is refused."""
    try:
        os.mkdir(directory)
        os.chmod(directory, MODE)
        return True
    except FileExistsError:
        check_owner(directory)
        return False
    except OSError as error:
        raise RunError("%s cannot be made: %s" % (directory, error.strerror)) from error
