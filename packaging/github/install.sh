#!/usr/bin/env bash
# Puts custody on the PATH of the steps that follow: from a release, or built from source. Read by action.yml; all that
# comes from outside comes by variables, so that nothing of it is taken for a command.
#
#   CUSTODY_URL      a release: an archive (.tar.gz) that holds `custody`, or the program itself
#   CUSTODY_SHA256   its checksum; without one the release is refused
#   CUSTODY_SOURCE   a checkout of custody's source, built where CUSTODY_URL is empty
#   CUSTODY_BIN_DIR  where the program goes
set -euo pipefail

fail() {
    echo "::error title=custody::$1"
    exit 2
}

directory=${CUSTODY_BIN_DIR:?}
mkdir -p "$directory"

if [ -n "${CUSTODY_URL:-}" ]; then
    case $CUSTODY_URL in
        https://*) ;;
        *) fail "release-url must start with https://" ;;
    esac
    [[ ${CUSTODY_SHA256:-} =~ ^[0-9a-f]{64}$ ]] || fail "release-url needs sha256, 64 lowercase hexadecimal digits"
    download=$(mktemp)
    trap 'rm -f "$download"' EXIT
    curl --proto '=https' --tlsv1.2 --fail --silent --show-error --location --retry 3 --output "$download" -- "$CUSTODY_URL" ||
        fail "the release could not be downloaded"
    if command -v sha256sum >/dev/null; then
        found=$(sha256sum "$download")
    else
        found=$(shasum -a 256 "$download")
    fi
    [ "${found%% *}" = "$CUSTODY_SHA256" ] || fail "the release has another checksum than sha256 says: ${found%% *}"
    if tar -tzf "$download" >/dev/null 2>&1; then
        member=$(tar -tzf "$download" | grep -E '(^|/)custody(\.exe)?$' | head -n 1) || true
        [ -n "$member" ] || fail "the archive holds no program named custody"
        tar -xzOf "$download" "$member" >"$directory/custody"
    else
        cp "$download" "$directory/custody"
    fi
    chmod 755 "$directory/custody"
else
    source=${CUSTODY_SOURCE:?}
    [ -f "$source/crates/cli/Cargo.toml" ] || fail "there is no source of custody to build; give release-url and sha256"
    command -v cargo >/dev/null || fail "cargo is not there to build custody; install Rust, or give release-url and sha256"
    (cd "$source" && cargo build --locked --release --package custody --target-dir "$directory/target")
    cp "$directory/target/release/custody" "$directory/custody"
fi

"$directory/custody" --version
if [ -n "${GITHUB_PATH:-}" ]; then
    echo "$directory" >>"$GITHUB_PATH"
fi
