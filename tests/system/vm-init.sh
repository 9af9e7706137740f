#!/bin/sh
# The first process of vm.sh's machine.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp OPENBLAS_NUM_THREADS=1 STATE_DIRECTORY=/tmp
off() { echo o > /proc/sysrq-trigger; sleep 60; }
fail() { echo "RESULT fail: $*"; tail -30 /tmp/agent.err; tail -5 /tmp/mosquitto.log /tmp/heard; off; }
# heard PATTERN: within ten minutes (of an emulated machine), a message after the last one that was waited for
from=1
heard() {
  for _ in $(seq 600); do
    line=$(tail -n +$from /tmp/heard | grep -n -m1 "$1" | cut -d: -f1)
    [ -z "$line" ] || { from=$((from + line)); echo "heard: $1"; return; }
    kill -0 "$agent" 2>/dev/null || fail "the agent has ended"
    sleep 1
  done
  fail "never heard: $1"
}

mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
ip link set lo up
modprobe vivid n_devs=1 node_types=0x1 2>/dev/null || fail "no vivid"
[ -e /dev/video0 ] || fail "no /dev/video0"
[ -e /etc/passwd ] || echo 'root:x:0:0:root:/root:/bin/sh' > /etc/passwd  # no package was configured here
printf 'listener 1883 127.0.0.1\nallow_anonymous true\nuser root\n' > /tmp/mosquitto.conf
mosquitto -c /tmp/mosquitto.conf > /tmp/mosquitto.log 2>&1 &
sleep 3
mosquitto_sub -h 127.0.0.1 -t 'lookout/#' -v > /tmp/heard &
cat > /tmp/agent.toml <<'TOML'
device = "vm"
[cameras.front]
kind = "v4l2"
device = 0
size = [640, 480]
rate = 5.0
stale_s = 60
[detect]
mode = "full"
TOML
lookout run /tmp/agent.toml > /tmp/agent.out 2> /tmp/agent.err &
agent=$!
heard '^lookout/vm/status online'
heard '^lookout/vm/front/status online'
heard '^lookout/vm/health .*"fps":\(0\.[0-9]*[1-9]\|[1-9]\)'
grep -q XNNPACK /tmp/agent.err || fail "XNNPACK is not in use"
echo vivid.0 > /sys/bus/platform/drivers/vivid/unbind
heard '^lookout/vm/front/status offline'
echo vivid.0 > /sys/bus/platform/drivers/vivid/bind
heard '^lookout/vm/front/status online'
kill -TERM $agent
heard '^lookout/vm/status offline'
grep 'camera front' /tmp/agent.err
lookout doctor /tmp/agent.toml --skip software model board disk broker > /tmp/doctor || fail "doctor: $(cat /tmp/doctor)"
grep '^good *found /dev/video0 *vivid: .*640x' /tmp/doctor || fail "doctor lists no camera: $(cat /tmp/doctor)"
echo "RESULT pass: a real V4L2 camera on $(uname -m), unplugged and found again"
off
