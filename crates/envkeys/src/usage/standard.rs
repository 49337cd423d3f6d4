//! Variables that systems, tools and CI services set, so that no template needs to declare them.

/// Whether a variable is set by the system, the shell, a language's tools or a CI service.
pub fn is_standard(key: &str) -> bool {
    NAMES.binary_search(&key).is_ok() || PREFIXES.iter().any(|p| key.starts_with(p))
}

/// Whether Cargo sets a variable for build scripts; elsewhere such a name (`HOST`, `DEBUG`) is the application's own.
pub(super) fn is_of_build_scripts(key: &str) -> bool {
    matches!(
        key,
        "TARGET" | "HOST" | "PROFILE" | "OUT_DIR" | "NUM_JOBS" | "OPT_LEVEL" | "DEBUG" | "RUSTC" | "RUSTDOC" | "LD"
    ) || key.starts_with("DEP_")
}

/// Sorted.
#[rustfmt::skip]
const NAMES: [&str; 96] = [
    "APPDATA", "AWS_EXECUTION_ENV", "BASH_ENV", "BROWSER", "CARGO", "CC", "CFLAGS", "CI", "CLICOLOR", "CLICOLOR_FORCE",
    "COLORTERM", "COLUMNS", "COMPUTERNAME", "COMSPEC", "COREPACK_HOME", "CXX", "CXXFLAGS", "DEBIAN_FRONTEND", "DISPLAY",
    "DJANGO_SETTINGS_MODULE", "DYNO", "EDITOR", "EUID", "FLY_APP_NAME", "FLY_REGION", "FORCE_COLOR", "GITHUB_ACTIONS",
    "GOARCH", "GOBIN", "GOFLAGS", "GOOS", "GOPATH", "GOROOT", "HOME", "HOMEDRIVE", "HOMEPATH", "HOSTNAME",
    "HTTPS_PROXY", "HTTP_PROXY", "INIT_CWD", "INVOCATION_ID", "JENKINS_HOME", "JENKINS_URL", "JEST_WORKER_ID",
    "K_CONFIGURATION", "K_REVISION", "K_SERVICE", "LAMBDA_TASK_ROOT", "LANG", "LANGUAGE", "LDFLAGS", "LINES",
    "LOCALAPPDATA", "LOGNAME", "MAIL", "MANPATH", "NETLIFY", "NEXT_PHASE", "NEXT_RUNTIME", "NODE_OPTIONS", "NODE_PATH",
    "NOTIFY_SOCKET", "NO_COLOR", "NO_PROXY", "OLDPWD", "OUT_DIR", "PAGER", "PATH", "PATHEXT", "PNPM_HOME",
    "PROGRAMDATA", "PROGRAMFILES", "PS1", "PWD", "RENDER_EXTERNAL_URL", "RENDER_GIT_COMMIT", "RENDER_SERVICE_ID",
    "SHELL", "SHLVL", "SSH_AUTH_SOCK", "SYSTEMROOT", "TEAMCITY_VERSION", "TEMP", "TERM", "TF_BUILD", "TMP", "TMPDIR",
    "TZ", "USER", "USERNAME", "USERPROFILE", "VERCEL", "VIRTUAL_ENV", "VISUAL", "WERKZEUG_RUN_MAIN", "WINDIR",
];

#[rustfmt::skip]
const PREFIXES: [&str; 25] = [
    "GITHUB_", "RUNNER_", "ACTIONS_", "GITLAB_", "CI_", "npm_", "XDG_", "LC_", "TERM_", "CARGO_", "RUSTC", "RUSTUP_", "RUSTFLAGS", "RUST_",
    "PYTHON", "BUILDKITE_", "CIRCLE_", "TRAVIS_", "KUBERNETES_SERVICE_", "VITEST", "PYTEST_", "VERCEL_", "AWS_LAMBDA_", "RAILWAY_", "BITBUCKET_",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_for_the_search() {
        assert!(NAMES.is_sorted());
    }

    #[test]
    fn names_that_applications_choose_are_not_standard() {
        for key in
            ["NODE_ENV", "BASE_URL", "HOST", "PORT", "NPM_TOKEN", "AWS_REGION", "FICECAL_API_BASE", "TARGET", "ENV"]
        {
            assert!(!is_standard(key), "{key}");
        }
        assert!(["GITHUB_TOKEN", "PATH", "npm_config_x", "LC_ALL", "RUST_LOG"].iter().all(|key| is_standard(key)));
        assert!(is_of_build_scripts("TARGET") && !is_of_build_scripts("API_BASE"));
    }
}
