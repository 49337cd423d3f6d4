#!/usr/bin/env bash
# Runs `custody check`, or searches what a change brings, and leaves the report where action.yml looks for it. All that
# comes from outside comes by variables, so that nothing of it is taken for a command.
#
#   CUSTODY_MODE     `check`: every clause of the contract. `range`: only what the commits of the change bring
#   CUSTODY_PATH     the repository
#   CUSTODY_ENV      the environment to evaluate, for `check`
#   CUSTODY_BASE     what the change is to go into; found from the event where it is empty
#   CUSTODY_HISTORY  `false` leaves history out of `check`
#   CUSTODY_SARIF    where the report goes
set -euo pipefail

fail() {
    echo "::error title=custody::$1"
    exit 2
}

arguments=()
base=${CUSTODY_BASE:-}
case ${CUSTODY_MODE:-check} in
    check)
        # Without --base, custody finds the base of this event itself, and says so where there is none.
        arguments+=(check --no-incident)
        [ -z "$base" ] || arguments+=("--base=$base")
        [ -z "${CUSTODY_ENV:-}" ] || arguments+=("--env=$CUSTODY_ENV")
        [ "${CUSTODY_HISTORY:-true}" != false ] || arguments+=(--no-history)
        ;;
    range)
        event=${GITHUB_EVENT_PATH:-/dev/null}
        zero='^0+$'
        if [ -z "$base" ]; then
            base=$(jq -r '.pull_request.base.sha // .merge_group.base_sha // .before // empty' "$event" 2>/dev/null || true)
        fi
        if [[ -z $base || $base =~ $zero ]]; then
            # A new branch, or an event that replaces nothing: what the default branch does not have.
            default=$(jq -r '.repository.default_branch // empty' "$event" 2>/dev/null || true)
            [ -n "$default" ] || fail "this event names no base; give one with base"
            base=origin/$default
        fi
        arguments+=(scan "--since=$base" "--base=$base")
        ;;
    *) fail "mode is check or range" ;;
esac

sarif=${CUSTODY_SARIF:?}
status=0
custody "${arguments[@]}" --format=sarif "--output=$sarif" -- "${CUSTODY_PATH:-.}" || status=$?
[ ! -f "$sarif" ] || echo "sarif=$sarif" >>"${GITHUB_OUTPUT:-/dev/null}"
echo "status=$status" >>"${GITHUB_OUTPUT:-/dev/null}"

# Once more for people, where something is to be said: annotations in the log and a summary of the job.
if [ "$status" -ne 0 ]; then
    custody "${arguments[@]}" --format=github -- "${CUSTODY_PATH:-.}" || true
    custody "${arguments[@]}" --format=markdown -- "${CUSTODY_PATH:-.}" >>"${GITHUB_STEP_SUMMARY:-/dev/null}" || true
fi
case $status in
    0) ;;
    1) echo "::error title=custody::blocked: the contract is violated" ;;
    3) echo "::error title=custody::incomplete: something that should have been looked at was not (is fetch-depth 0?)" ;;
    *) echo "::error title=custody::custody could not run (exit status $status)" ;;
esac
exit "$status"
