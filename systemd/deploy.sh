#!/bin/sh
# The workstation's half of `make deploy PI=user@host`: what is needed is built here for the device over there, sent,
# and installed by systemd/install.sh, which switches back where the new release does not start.
#
#   PI=user@host        who and where; root, or someone who may sudo without a password (as Pi OS' first user may)
#   CONFIG=agent.toml   instead of the device's own; MODEL=my.tflite (its .json and .labels.txt come along)
#   SSH="ssh -p 2222"   another way to get there
set -eu
cd "$(dirname "$0")/.."
VERB=${1:-install} PYTHON=${PYTHON:-python3} SSH=${SSH:-ssh} STAGE=/var/tmp/lookout-stage
fail() { echo "lookout: $*" >&2; exit 2; }

[ -n "${PI:-}" ] || fail "whom to? make deploy PI=user@host [MODEL=my.tflite] [CONFIG=agent.toml]"
[ -z "${CONFIG:-}" ] || [ -f "$CONFIG" ] || fail "CONFIG=$CONFIG: no such file"
[ -z "${MODEL:-}" ] || [ -f "$MODEL" ] || fail "MODEL=$MODEL: no such file"

TMP=$(mktemp -d)
SSH="$SSH -o ControlMaster=auto -o ControlPersist=60 -o ControlPath=$TMP/ssh -o ConnectTimeout=10"
trap '$SSH -O exit "$PI" 2>/dev/null || true; rm -rf "$TMP"' EXIT

# What is over there; one line a fact.
facts=$($SSH "$PI" 'uname -m; python3 -c "import sys; print(\"%d.%d\" % sys.version_info[:2])" 2>/dev/null || echo none
  getconf GNU_LIBC_VERSION 2>/dev/null | cut -d" " -f2 || echo none
  python3 -c "import ensurepip" 2>/dev/null && echo venv || echo no-venv
  [ -d /run/systemd/system ] && echo systemd || echo no-systemd
  { [ "$(id -u)" = 0 ] && echo root; } || { sudo -n true 2>/dev/null && echo sudo; } || echo nobody
  command -v rsync >/dev/null && echo rsync || echo tar
  df -Pk /opt / 2>/dev/null | awk "NR==2 {print int(\$4/1024)}"') || fail "$PI: cannot be reached by ssh"
set -- $facts
machine=$1 python=$2 glibc=$3 venv=$4 init=$5 who=$6 copy=$7 free=$8

case $machine in
  aarch64 | x86_64) ;;
  armv7l | armv6l) fail "$PI is a 32-bit system ($machine), for which there are no wheels; use the 64-bit Raspberry Pi OS" ;;
  *) fail "$PI is a $machine, for which there are no wheels" ;;
esac
[ "$init" = systemd ] || fail "$PI does not run systemd"
case $who in root) AS= ;; sudo) AS="sudo -n" ;; *) fail "$PI may not sudo without a password; PI=root@host, or see visudo" ;; esac

if [ "$VERB" != install ]; then
  $SSH "$PI" "$AS sh -c 'cat > /run/lookout-install && sh /run/lookout-install $VERB'" < systemd/install.sh
  exit
fi

case $python in none) fail "$PI has no python3" ;; 3.[0-9] | 3.10) fail "$PI has Python $python, 3.11 is needed (Pi OS bookworm)" ;; esac
[ "$venv" = venv ] || fail "$PI has no python3-venv: ssh $PI $AS apt install python3-venv"
[ "$free" -ge 700 ] || fail "$PI has $free MB free in /opt, 700 are needed"

VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -1)-$(date -u +%Y%m%d-%H%M%S)
echo "building $VERSION for Python $python on $machine (glibc $glibc)"
OUT=build/deploy-$python-$machine
"$PYTHON" systemd/bundle.py "$OUT" --python "$python" --machine "$machine" --glibc "$glibc"
mkdir -p "$OUT/model" "$OUT/config"
if [ -n "${MODEL:-}" ]; then
  for file in "$MODEL" "${MODEL%.tflite}.json" "${MODEL%.tflite}.labels.txt" "${MODEL%.tflite}_edgetpu.tflite"; do
    [ ! -f "$file" ] || cp "$file" "$OUT/model/"
  done
fi
[ -z "${CONFIG:-}" ] || cp "$CONFIG" "$OUT/config/agent.toml"

echo "sending $(du -sm "$OUT" | cut -f1) MB, less what is there already"
# A folder that somebody else made there is not written to.
if [ "$copy" = rsync ] && command -v rsync >/dev/null; then
  rsync -rc --delete -e "$SSH" "$OUT/" "$PI:$STAGE/"
else
  tar -C "$OUT" -cf - . | $SSH "$PI" "rm -rf $STAGE && mkdir -m 700 $STAGE && tar -C $STAGE -xf -"
fi
$SSH "$PI" "$AS sh $STAGE/install.sh install $VERSION"
