#!/bin/bash
# Runs `systemd --user` where it can reach nothing of this machine but a scratch directory, and then what
# stands on its standard input, a line at a time; after each it prints "--- <exit code>".
#
#   isolated_systemd.sh SCRATCH MARKER     SCRATCH: a directory of the caller's; MARKER: a file in /tmp
#
# A service manager tidies up: one that shares directories with the machine may empty them. So it gets a root of
# its own, of memory, with nothing of the machine's in it but /usr and /etc, which it cannot write; namespaces
# for processes, mounts, IPC and control groups; and a path for units without those of the machine. It is not
# started before all of that has been found to be so.
set -eu

refuse() { echo "refused: $*"; exit 1; }

if [[ ${3-} != inside ]]; then
  scratch=$1 marker=$2
  [[ $(id -u) == 0 ]] || refuse "only root can set it apart"
  # A control group of its own, below which it makes others.
  group=/sys/fs/cgroup
  [[ -d $group/unified ]] && group+=/unified
  [[ $(stat -f -c %T $group) == cgroup2fs ]] || refuse "there is no cgroup2"
  # What runs that were killed have left.
  for left in "$group"/filesync-test-*; do
    [[ -d /proc/${left##*-} || ! -d $left ]] || find "$left" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
  group+=/filesync-test-$$
  mkdir "$group"
  # Pid 1 of its namespace dies with this shell, and with it all that it started.
  trap 'for _ in {1..200}; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break; sleep 0.1; done' EXIT
  (
    echo $BASHPID > "$group/cgroup.procs"
    exec unshare --mount --pid --fork --mount-proc --kill-child --ipc --uts --cgroup --propagation private \
      "$BASH" "$0" "$scratch" "$marker" inside "$(readlink /proc/self/ns/mnt)" "$(readlink /proc/self/ns/pid)"
  )
  exit
fi

scratch=$1 marker=$2 outer_mounts=$4 outer_pids=$5
[[ $$ == 1 ]] || refuse "it is not the first of its own processes"
[[ $(readlink /proc/self/ns/mnt) != "$outer_mounts" ]] || refuse "mounts are shared with the machine"
[[ $(readlink /proc/self/ns/pid) != "$outer_pids" ]] || refuse "processes are shared with the machine"
[[ -f $marker && $marker == /tmp/* ]] || refuse "there is no marker in /tmp"

mount --make-rprivate /
mount -o remount,bind,ro /
root=/mnt
mount -t tmpfs -o mode=755 tmpfs $root
mkdir -p $root/{usr,etc,proc,dev,sys/fs/cgroup,tmp,var/tmp,run,scratch,old}
for name in bin sbin lib lib32 lib64 libx32; do
  if [[ -L /$name ]]; then cp -a /$name $root/; elif [[ -d /$name ]]; then mkdir $root/$name; fi
done
for directory in usr etc bin sbin lib lib64; do
  [[ -d $root/$directory && ! -L $root/$directory ]] || continue
  mount --bind /$directory $root/$directory
  mount -o remount,bind,ro $root/$directory
done
for device in null zero full random urandom; do
  touch $root/dev/$device
  mount --bind /dev/$device $root/dev/$device
done
mkdir $root/dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts $root/dev/pts
ln -s pts/ptmx $root/dev/ptmx
for directory in tmp run dev/shm; do
  mkdir -p $root/$directory
  mount -t tmpfs tmpfs $root/$directory
done
# What the system's own systemd makes, and confining a service rests on.
mkdir -p $root/run/{user,manager} $root/run/systemd/{system,inaccessible/dir}
touch $root/run/systemd/inaccessible/reg
mkfifo $root/run/systemd/inaccessible/{fifo,sock}
mknod $root/run/systemd/inaccessible/chr c 0 0
mknod $root/run/systemd/inaccessible/blk b 0 0
chmod 0 $root/run/systemd/inaccessible/*
mount -t proc proc $root/proc
for setting in sys sysrq-trigger; do
  [[ -e $root/proc/$setting ]] || continue
  mount --bind $root/proc/$setting $root/proc/$setting
  mount -o remount,bind,ro $root/proc/$setting
done
mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
mount --bind "$scratch" $root/scratch
mount -o remount,bind,rw $root/scratch
cd $root
pivot_root . old
umount -l /old
cd /
rmdir /old

# Nothing of the machine is here any more.
[[ ! -e $marker ]] || refuse "the machine's /tmp is here"
for directory in / /usr /etc /tmp /var /run /dev /root /home; do
  [[ ! -e $directory/${marker##*/} ]] || refuse "the machine's /tmp is at $directory"
done
for directory in /usr /etc; do
  ! touch $directory/filesync-probe 2>/dev/null || refuse "$directory can be written"
done
while read -r _ _ _ _ point flags rest; do
  type=${rest#*- } type=${type%% *}
  case $point in
    /scratch | /dev/*) continue ;;
  esac
  case $type in
    tmpfs | devpts | proc | cgroup2) continue ;;
  esac
  [[ ,$flags, == *,ro,* ]] || refuse "$point ($type) can be written"
done < /proc/self/mountinfo

export HOME=/scratch/home XDG_RUNTIME_DIR=/run/manager LC_ALL=C PATH=/usr/bin:/usr/sbin:/bin:/sbin
unset XDG_CONFIG_HOME XDG_STATE_HOME XDG_DATA_HOME DBUS_SESSION_BUS_ADDRESS NOTIFY_SOCKET
# Only units of ours.
export SYSTEMD_UNIT_PATH=$HOME/.config/systemd/user:/scratch/units
mkdir -p $HOME/.config/systemd/user /scratch/units
for unit in default basic shutdown exit; do
  printf '[Unit]\nDescription=%s\n' $unit > /scratch/units/$unit.target
done
systemd=/usr/lib/systemd/systemd
[[ -x $systemd ]] || systemd=/lib/systemd/systemd
$systemd --user --log-target=console --log-level=info < /dev/null > /scratch/systemd.log 2>&1 &
for _ in {1..100}; do
  systemctl --user is-active --quiet default.target 2>/dev/null && break
  kill -0 $! 2>/dev/null || refuse "systemd ended: $(tail -n 3 /scratch/systemd.log)"
  sleep 0.1
done
systemctl --user is-active --quiet default.target || refuse "systemd does not start: $(tail -n 3 /scratch/systemd.log)"
echo "--- ready"
set +e
while IFS= read -r line; do
  eval "$line" 2>&1 < /dev/null
  echo "--- $?"
done
