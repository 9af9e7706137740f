#!/bin/sh
# Inside the container that run.sh has started: the .deb installed, running, upgraded with a changed config, purged.
set -eu
inside() { nsenter -t "$PID" -m -u -i -n -p -C env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
wrong() { echo "RESULT fail: $*"; inside journalctl -u lookout -n 30 --no-pager -o cat || true; exit 1; }
active() { for _ in $(seq 60); do inside systemctl is-active -q lookout && return; sleep 1; done; wrong "not active $1"; }

printf 'device = "pi"\n[cameras.front]\nkind = "synthetic"\n' | inside sh -c 'mkdir -p /etc/lookout; cat > /etc/lookout/agent.toml'
inside dpkg --force-confold --install /root/lookout.deb || wrong "dpkg --install"
active "after the installation"
inside lookout check /etc/lookout/agent.toml || wrong "check"
inside systemctl is-enabled -q lookout || wrong "not enabled"
inside systemd-analyze verify --man=no /usr/lib/systemd/system/lookout.service || wrong "verify"
inside journalctl -u lookout --no-pager -o cat | grep -q XNNPACK || wrong "XNNPACK is not in use under the unit"

inside dpkg --force-confold --install /root/lookout.deb || wrong "a second installation"
active "after the second installation"
inside grep -q 'device = "pi"' /etc/lookout/agent.toml || wrong "the changed config was not kept"

inside dpkg --purge lookout || wrong "dpkg --purge"
for left in /usr/lib/lookout /etc/lookout/agent.toml /var/lib/private/lookout; do
  ! inside test -e "$left" || wrong "$left is left after a purge"
done
echo "RESULT pass: deb installed, running, kept its config, purged"
