#!/bin/sh
# Against the container that run.sh has started: deploy, kill, hang, another deploy, a bad one, rollback, undeploy.
set -eu
export PI=pi@127.0.0.1 SSH="ssh -p $PORT -i $LAB/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR" PYTHON
inside() { nsenter -t "$PID" -m -u -i -n -p -C env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
lookout() { inside /opt/lookout/current/bin/lookout "$@"; }
show() { inside systemctl show -p "$1" --value lookout; }
current() { inside readlink /opt/lookout/current; }
wrong() { echo "RESULT fail: $*"; inside journalctl -u lookout -n 30 --no-pager -o cat || true; exit 1; }
# until N COMMAND...: once a second, at most N times
until_true() { n=$1; shift; for _ in $(seq "$n"); do "$@" && return; sleep 1; done; wrong "$* was never true"; }
is_active() { [ "$(show ActiveState)" = active ]; }
is_another() { is_active && new=$(show MainPID) && [ "$new" -gt 0 ] && [ "$new" != "$1" ]; }
now() { date +%s; }

config=$LAB/agent.toml
printf 'device = "pi"\n[cameras.front]\nkind = "synthetic"\n[cameras.gone]\nkind = "v4l2"\ndevice = 9\n' > "$config"

begin=$(now); CONFIG=$config systemd/deploy.sh install || wrong "the first deploy"
echo "first deploy: $(($(now) - begin)) s"
first=$(current); is_active || wrong "not active"
show StatusText
inside test -d /var/lib/private/lookout || wrong "no state directory"
inside systemd-analyze verify --man=no /etc/systemd/system/lookout.service || wrong "verify"
inside systemd-analyze security --no-pager lookout | tail -1
inside systemd-analyze security --threshold=15 --no-pager lookout >/dev/null || wrong "exposure"
inside journalctl -u lookout --no-pager -o cat | grep -q "XNNPACK delegate" || wrong "XNNPACK is not in use under the unit"
case $(show StatusText) in *"front online"*"gone offline"*) ;; *) sleep 10; case $(show StatusText) in *"front online"*) ;; *) wrong "status: $(show StatusText)" ;; esac ;; esac

pid=$(show MainPID); begin=$(now); inside systemctl kill -s KILL lookout; sleep 1
until_true 20 is_another "$pid"; echo "killed: active again after $(($(now) - begin)) s"

pid=$(show MainPID); [ "$pid" -gt 1 ] || wrong "no main process"
begin=$(now); inside systemctl kill -s STOP lookout
until_true 90 is_another "$pid"; echo "hung: active again after $(($(now) - begin)) s"
inside journalctl -u lookout --no-pager -o cat | grep -q "Watchdog timeout" || wrong "it was not the watchdog"

sleep 1; begin=$(now); systemd/deploy.sh install || wrong "the second deploy"
echo "second deploy: $(($(now) - begin)) s"
second=$(current); second_before=$second; [ "$first" != "$second" ] || wrong "the same release"
[ "$(inside readlink /opt/lookout/previous)" = "$first" ] || wrong "previous is not the first"
inside grep -q 'device = "pi"' /etc/lookout/agent.toml || wrong "the config was not kept"

echo 'devise = "pi"' > "$LAB/bad.toml"; sleep 1
! CONFIG=$LAB/bad.toml systemd/deploy.sh install || wrong "a config that is wrong was taken"
[ "$(current)" = "$second" ] || wrong "it was switched"
inside grep -q 'device = "pi"' /etc/lookout/agent.toml || wrong "the config was not put back"
is_active || wrong "not active after a config that is wrong"

cp "$SHIPPED.tflite" "$LAB/mine.tflite"; cp "$SHIPPED.json" "$LAB/mine.json"
printf 'device = "pi"\n[cameras.front]\nkind = "synthetic"\n[model]\n#file = "/opt/lookout/models/mine.tflite"\n' > "$config"
CONFIG=$config MODEL=$LAB/mine.tflite systemd/deploy.sh install || wrong "a deploy with a model"
third=$(current); inside grep "^file = " /etc/lookout/agent.toml || wrong "the model is not in the config"
is_active || wrong "not active with a model of ours"

lookout update "/opt/lookout/models/${third#releases/}/mine.tflite" || wrong "update"
inside systemctl restart lookout || wrong "it does not start with the update"
inside grep -q '"starts":1' /var/lib/lookout/models/state.json || wrong "the update is not on trial: $(inside cat /var/lib/lookout/models/state.json)"

# A model that passed its self-test and does not run: as a worn-out card reads it.
chosen=$(inside sh -c 'ls /var/lib/lookout/models/*/mine.tflite')
inside sh -c "printf TFL3 > $chosen"
begin=$(now); inside systemctl restart lookout || true
is_refused() { inside grep -q '"refused":\["' /var/lib/lookout/models/state.json && is_active; }
until_true 90 is_refused; echo "bad model: rolled back and active after $(($(now) - begin)) s"
inside journalctl -u lookout --no-pager -o cat | grep "back from model" || wrong "it was not the roll-back"

printf 'no model' > "$LAB/mine.tflite"; sleep 1
! MODEL=$LAB/mine.tflite systemd/deploy.sh install || wrong "a model that is none was taken"
lookout check /etc/lookout/agent.toml >/dev/null || wrong "the model before is gone"
[ "$(current)" = "$third" ] || wrong "it was switched"
[ "$(inside ls /opt/lookout/models | wc -l)" = 1 ] || wrong "the bad model was kept"
second=$third first=$second_before

broken=$LAB/broken; rm -rf "$broken"; mkdir "$broken"; cp -r agent convert models systemd pyproject.toml requirements.lock README.md LICENSE NOTICE "$broken"
echo 'raise SystemExit("this release is broken")' >> "$broken/agent/cli/run.py"; sleep 1
begin=$(now); status=0; "$broken/systemd/deploy.sh" install || status=$?
[ $status = 1 ] || wrong "a broken release: exit code $status"
echo "broken release: back after $(($(now) - begin)) s"
[ "$(current)" = "$second" ] || wrong "not rolled back: $(current)"
is_active || wrong "not active after the roll-back"
[ "$(inside ls /opt/lookout/releases | wc -l)" = 3 ] || wrong "the broken release was kept"

systemd/deploy.sh rollback || wrong "rollback"
[ "$(current)" = "$first" ] || wrong "rollback went nowhere"
is_active || wrong "not active after the rollback"
systemd/deploy.sh undeploy || wrong "undeploy"
! inside test -e /opt/lookout/current || wrong "undeploy left a release"
inside test -e /etc/lookout/agent.toml || wrong "undeploy took the config"
echo "RESULT pass: deployed, killed, hung, deployed again, updated, a bad config, a bad model and a broken release refused or rolled back, undeployed"
