"""`ivrctl completion`: a script that makes a shell complete commands, options, fields and values."""

import argparse
from typing import Final

from ivrctl.call import Call
from ivrctl.errors import EXIT_OK

USAGE = "[options] SHELL"

DESCRIPTION = (
    "Print a script that makes the shell complete commands, options, fields, and values of site, node and code."
)

EXAMPLES = """\
Values come from the list, which is asked at most once a minute for that.

examples:
  source <(ivrctl completion bash)                               bash, for this session; or in ~/.bashrc
  ivrctl completion zsh > "${fpath[1]}/_ivrctl"                  zsh
  ivrctl completion fish > ~/.config/fish/completions/ivrctl.fish
"""

# Bash splits words at these characters, so what stands before the last of them is taken off the candidates.
BASH: Final = """\
_ivrctl() {
    local line="${COMP_LINE:0:COMP_POINT}" word before
    word="${line##* }"
    before="${word%"${word##*[=:@]}"}"
    mapfile -t COMPREPLY < <(ivrctl complete-line "$line" 2>/dev/null)
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -F _ivrctl ivrctl
"""

ZSH: Final = """\
#compdef ivrctl
_ivrctl() {
    local -a found
    found=("${(@f)$(ivrctl complete-line "$LBUFFER" 2>/dev/null)}")
    compadd -Q -S '' -- $found
}
compdef _ivrctl ivrctl
"""

FISH: Final = "complete -c ivrctl -f -a '(ivrctl complete-line (commandline -cp) 2>/dev/null)'\n"

SCRIPTS: Final = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def more() -> str:
    """Return the examples."""
    return EXAMPLES


def add(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("shell", choices=tuple(SCRIPTS), metavar="SHELL", help="bash, zsh or fish")


def run(call: Call) -> int:
    """Print the script."""
    call.terminal.out.write(SCRIPTS[call.options.shell])
    return EXIT_OK
