#!/bin/sh
# The device's half of `make deploy`, run there as root from the folder that the workstation sent:
#
#   install.sh install VERSION   unpack beside the running release, try it, switch, wait until it is ready, or switch back
#   install.sh rollback          back to the release before
#   install.sh undeploy          all but /etc/lookout, /var/lib/lookout and the models that were brought
#   install.sh recover           at each start: what a power cut left of an installation that was under way
#
#   /opt/lookout/releases/VERSION   a venv that sees the system's packages (picamera2), its unit, its udev rules
#   /opt/lookout/current            -> releases/VERSION, switched by one rename; `previous` is the one before
#   /opt/lookout/models/VERSION     what MODEL= brought
#   /etc/lookout/agent.toml         installed once, never overwritten
#
# Exit: 0 done, 1 the new release did not start and the old one runs again, 2 nothing was changed.
set -eu
OPT=/opt/lookout ETC=/etc/lookout STAGE=$(cd "$(dirname "$0")" && pwd) KEEP=3 CHOSEN=/var/lib/lookout/models/state.json STEADY_S=${STEADY_S:-5}
DROP_IN=/etc/systemd/system/lookout.service.d/10-restart.conf

say() { echo "lookout: $*"; }
fail() { echo "lookout: $*" >&2; exit 2; }

# One rename: whoever looks finds the old release or the new one; all of it is on the disk before.
point() { rm -f "$OPT/.$1.new"; ln -s "$2" "$OPT/.$1.new" && sync -f "$OPT" "$ETC" && mv -T "$OPT/.$1.new" "$OPT/$1" && sync -f "$OPT"; }

start() {  # the unit is the release's own; Type=notify: restart returns when it is ready, or has failed
  install -m 644 "$OPT/current/lookout.service" /etc/systemd/system/lookout.service
  install -m 644 "$OPT/current/60-lookout.rules" /etc/udev/rules.d/60-lookout.rules
  if [ -e "$OPT/current/restart.conf" ] && [ "$(systemctl --version | awk 'NR == 1 {print $2}')" -ge 254 ]; then
    install -D -m 644 "$OPT/current/restart.conf" "$DROP_IN"
  fi
  systemctl daemon-reload
  udevadm control --reload 2>/dev/null && udevadm trigger --subsystem-match=usb --subsystem-match=dma_heap 2>/dev/null || true
  systemctl reset-failed lookout 2>/dev/null || true
  timeout 180 systemctl restart lookout && sleep "$STEADY_S" && systemctl is-active --quiet lookout && steady
}

steady() {  # still the process that said it was ready
  [ "$(systemctl show -p NRestarts --value lookout)" = 0 ]
}

# Venv, wheels, and a first run: everything that may fail before anything is switched.
unpack() {
  [ ! -e "$RELEASE" ] || fail "$RELEASE is there already"
  mkdir -p "$OPT/releases" "$OPT/models" "$ETC"
  python3 -m venv --system-site-packages "$RELEASE" || fail "no venv; apt install python3-venv"
  "$RELEASE/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --ignore-installed \
    --find-links "$STAGE/wheels" --require-hashes -r "$STAGE/requirements.lock"
  "$RELEASE/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps "$STAGE"/lookout_agent-*.whl
  "$RELEASE/bin/python" -m compileall -q "$RELEASE/lib" >/dev/null || true  # the unit cannot write there
  cp "$STAGE/lookout.service" "$STAGE/60-lookout.rules" "$STAGE/restart.conf" "$STAGE/install.sh" "$RELEASE/"
}

# What this deploy brings of config and model. Nothing that the running release reads is written over: a model lies in
# a folder of its own, and the config before is put back if this release does not start.
configure() {
  for group in video render plugdev; do getent group "$group" >/dev/null || groupadd --system "$group"; done
  [ ! -e "$ETC/agent.toml" ] || cp -p "$ETC/agent.toml" "$ETC/agent.toml.before-$VERSION"
  if [ -f "$STAGE/config/agent.toml" ]; then
    install -m 644 "$STAGE/config/agent.toml" "$ETC/.agent.toml" && mv -T "$ETC/.agent.toml" "$ETC/agent.toml"
  elif [ ! -e "$ETC/agent.toml" ]; then
    install -m 644 "$STAGE/agent.toml" "$ETC/agent.toml"
  fi
  for model in "$STAGE"/model/*.tflite; do
    case $model in *'*'* | *_edgetpu.tflite) continue ;; esac
    mkdir -p "$OPT/models/$VERSION"
    cp "$STAGE"/model/* "$OPT/models/$VERSION/"
    choose "$OPT/models/$VERSION/${model##*/}"
  done
}

choose() {  # in [model], where the file is one of ours or still the comment; and not what `lookout update` chose before
  if grep -q '^#\{0,1\}file = "/opt/lookout/models/' "$ETC/agent.toml"; then
    sed -i "s|^#\{0,1\}file = \"/opt/lookout/models/.*|file = \"$1\"|" "$ETC/agent.toml"
    [ ! -e "$CHOSEN" ] || forget
  else
    say "$ETC/agent.toml names a model of its own; to use this one set [model] file = \"$1\" there"
  fi
}

forget() {  # what was chosen, but not the newest version that was ever accepted: a signed old one must not come back
  mv "$CHOSEN" "$CHOSEN.before-$VERSION"
  accepted=$(sed -n 's/.*"accepted":\([0-9][0-9]*\).*/\1/p' "$CHOSEN.before-$VERSION")
  [ -n "$accepted" ] || return 0
  echo "{\"accepted\":$accepted}" > "$CHOSEN"
  chown --reference="$CHOSEN.before-$VERSION" "$CHOSEN"
}

unconfigure() {
  rm -rf "$OPT/models/$VERSION"
  [ ! -e "$CHOSEN.before-$VERSION" ] || mv -T "$CHOSEN.before-$VERSION" "$CHOSEN"
  if [ -e "$ETC/agent.toml.before-$VERSION" ]; then
    mv -T "$ETC/agent.toml.before-$VERSION" "$ETC/agent.toml"
  else
    rm -f "$ETC/agent.toml"  # this deploy brought it
  fi
}

prune() {  # keeps the newest, and never drops current or previous, nor the model in use
  [ ! -e "$ETC/agent.toml.before-$VERSION" ] || mv -T "$ETC/agent.toml.before-$VERSION" "$ETC/agent.toml.before"
  rm -f "$CHOSEN".before-*
  for folder in $(ls -1dt "$OPT"/models/*/ 2>/dev/null | tail -n +$((KEEP + 1))); do
    grep -q "\"$folder" "$ETC/agent.toml" || rm -rf "$folder"
  done
  for folder in $(ls -1dt "$OPT"/releases/* | tail -n +$((KEEP + 1))); do
    case $(readlink -f "$OPT/current") in "$folder") continue ;; esac
    case $(readlink -f "$OPT/previous" || true) in "$folder") continue ;; esac
    rm -rf "$folder"
  done
}

install_release() {
  VERSION=$1 RELEASE=$OPT/releases/$1
  before=$(readlink "$OPT/current" || true)
  trap 'rm -rf "$RELEASE"' EXIT
  unpack
  trap 'unconfigure; rm -rf "$RELEASE"' EXIT
  configure
  if ! "$RELEASE/bin/lookout" check "$ETC/agent.toml" >/dev/null; then
    fail "$VERSION does not work here (the line above says why); nothing was changed"
  fi
  trap - EXIT
  point current "releases/$VERSION"
  if start; then
    systemctl enable --quiet lookout
    if [ -n "$before" ]; then point previous "$before"; fi
    prune
    say "$VERSION runs$([ -z "$before" ] || echo " (before: ${before#releases/})")"
    systemctl show -p StatusText --value lookout
    STATE_DIRECTORY=/var/lib/lookout "$OPT/current/bin/lookout" doctor "$ETC/agent.toml" \
      --skip model cameras broker 2>/dev/null | grep -v '^good' || true  # those three it uses itself by now
    return
  fi
  journalctl -u lookout -n 10 --no-pager -o cat >&2 || true
  unconfigure
  if [ -z "$before" ]; then
    systemctl stop lookout || true
    rm -f "$OPT/current"
    rm -rf "$RELEASE"
    fail "$VERSION did not start, and there is none before it"
  fi
  point current "$before"
  rm -rf "$RELEASE"
  start || fail "$VERSION did not start, and neither does ${before#releases/} any more"
  say "$VERSION did not start; rolled back, ${before#releases/} runs again" >&2
  exit 1
}

rollback() {
  before=$(readlink "$OPT/previous") || fail "there is no release before this one"
  now=$(readlink "$OPT/current")
  point current "$before"
  if start; then
    point previous "$now"
    say "rolled back to ${before#releases/} (was: ${now#releases/})"
  else
    point current "$now"
    start || true
    fail "${before#releases/} does not start; still ${now#releases/}"
  fi
}

recover() {  # what stands aside is put back, but for the release that was switched to: that has its config
  for kept in "$ETC"/agent.toml.before-*; do
    [ -e "$kept" ] || return 0
    VERSION=${kept##*/agent.toml.before-}
    if [ "$(readlink "$OPT/current")" = "releases/$VERSION" ]; then
      mv -T "$kept" "$ETC/agent.toml.before"
      rm -f "$CHOSEN.before-$VERSION"
    else
      unconfigure
      rm -rf "$OPT/releases/$VERSION"
      say "the installation of $VERSION was cut short; undone" >&2
    fi
  done
}

undeploy() {
  systemctl disable --now --quiet lookout 2>/dev/null || true
  rm -rf "$OPT/releases" "$OPT/current" "$OPT/previous" /etc/systemd/system/lookout.service /etc/udev/rules.d/60-lookout.rules "$DROP_IN"
  systemctl daemon-reload
  say "gone; $ETC, $OPT/models and /var/lib/lookout are kept"
}

mkdir -p "$OPT"
exec 9>/var/lock/lookout-deploy
if ! flock -n 9; then
  [ "${1:-}" != recover ] || exit 0  # no power cut: the installation that is under way has started this
  echo "lookout: another deploy is running there" >&2
  exit 75
fi
case ${1:-} in
  install) install_release "${2:?install.sh install VERSION}" ;;
  rollback) rollback ;;
  undeploy) undeploy ;;
  recover) recover ;;
  *) fail "install.sh install VERSION | rollback | undeploy | recover" ;;
esac
