# Sourced by the lanes: where they build, what their Debians are made of, and the word where one cannot run here.
cd "$(dirname "$0")/../.."
HERE=$PWD SHIPPED=models/ssdlite_mobilenet_v2_coco_int8 LAB=${LAB:-/var/tmp/lookout-lab} PYTHON=${PYTHON:-python3}
case $PYTHON in /*) ;; */*) PYTHON=$HERE/$PYTHON ;; esac  # a lane may work in another folder
mkdir -p "$LAB"

unable() {  # unable WHY: this machine cannot run a lane. In CI that is a failure, elsewhere a word
  [ "${CI:-}" != true ] || { echo "RESULT fail: cannot run here: $*" >&2; exit 1; }
  echo "RESULT skip: cannot run here: $*"
  exit 0
}

need() {  # need PACKAGE=TOOL...
  [ "$(id -u)" = 0 ] || unable "not root"
  missing=
  for pair; do command -v "${pair#*=}" >/dev/null || [ -x "/sbin/${pair#*=}" ] || missing="$missing ${pair%=*}"; done
  [ -z "$missing" ] || unable "apt install$missing"
  unshare -m true 2>/dev/null || unable "no namespaces may be made, nothing mounted (CAP_SYS_ADMIN)"
}

# debian FOLDER SUITE OPTION...: what mmdebstrap makes of it, without what nobody reads. Mirrors have bad moments.
debian() {
  folder=$1 suite=$2
  shift 2
  echo "building $folder (once)"
  mirror=$(awk '/^URIs/{print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)  # else mmdebstrap's own
  for attempt in 1 2; do
    rm -rf "$folder"
    ! mmdebstrap --quiet --components=main --aptopt='Acquire::Languages "none"' \
      --aptopt='Apt::Install-Recommends "false"' --dpkgopt='force-unsafe-io' --dpkgopt='path-exclude=/usr/share/man/*' \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
      "$@" "$suite" "$folder" $mirror || return 0
  done
  echo "RESULT fail: $folder cannot be built from ${mirror:-the Debian mirror}" >&2
  exit 1
}
