/** Scripts that let a shell complete commands, flags and file names. @module */
import { type Command, type Flag, flagsOf } from "./command.ts";
import { anyOf, didYouMean } from "./suggest.ts";
import { usageError } from "./usage_error.ts";

/** The shells there are scripts for. */
export const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

/**
 * The script for a shell, to be sourced or put where the shell looks for completions.
 *
 * @throws {FilesyncError} `usage` for a shell that is not in {@linkcode SHELLS}.
 */
export function completionScript(shell: string, commands: readonly Command[]): string {
  switch (shell) {
    case "bash":
      return bash(commands);
    case "zsh":
      return zsh(commands);
    case "fish":
      return fish(commands);
    case "powershell":
      return powershell(commands);
    default:
      throw usageError(
        `complete for ${JSON.stringify(shell)}`,
        "there is no script for this shell",
        `${didYouMean(shell, SHELLS)}Write ${anyOf(SHELLS)}`,
      );
  }
}

function visibleFlags(command: Command): Flag[] {
  return flagsOf(command).filter((flag) => !flag.hidden);
}

/** What the first argument of a command may be; empty when it may be anything. */
function choicesOf({ arguments: [first] }: Command): readonly string[] {
  return first?.choices ?? [];
}

/** Pairs of a command and one whose line may stand behind it: `service watch`. */
function nestedPairs(commands: readonly Command[]): string[] {
  return commands.flatMap(({ name, nested = [] }) => nested.map((inner) => `${name} ${inner}`));
}

/** All spellings of a flag: `--ignore`, `-i`, `--no-verify`. */
function spellings({ name, short, negatable }: Flag): string[] {
  return [`--${name}`, ...(short ? [`-${short}`] : []), ...(negatable ? [`--no-${name}`] : [])];
}

function bash(commands: readonly Command[]): string {
  const cases = commands.map((command) => {
    const flags = visibleFlags(command);
    const taking = flags.filter((flag) => flag.value !== undefined).flatMap(spellings);
    return `    ${command.name}) flags=${quote(flags.flatMap(spellings).join(" "))} taking=${
      quote(` ${taking.join(" ")} `)
    } choices=${quote(choicesOf(command).join(" "))} ;;`;
  });
  return `# bash completion for filesync: source it, or put it into
# ~/.local/share/bash-completion/completions/filesync
_filesync() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command= word flags= taking= choices= nested=${quote(`|${nestedPairs(commands).join("|")}|`)}
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) continue ;; esac
    [[ -z $command || $nested == *"|$command $word|"* ]] && command=$word
  done
  case $command in
${cases.join("\n")}
    *) COMPREPLY=($(compgen -W ${quote(commands.map(({ name }) => name).join(" "))} -- "$current")); return ;;
  esac
  if [[ $current == -* && $taking != *" $previous "* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  elif [[ -n $choices && $previous == "$command" ]]; then
    COMPREPLY=($(compgen -W "$choices" -- "$current"))
  else
    local IFS=$'\\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -F _filesync filesync
`;
}

function zsh(commands: readonly Command[]): string {
  const names = commands.map(({ name, summary }) => `    ${quote(`${name}:${summary}`)}`);
  const cases = commands.map((command) => {
    const specs = visibleFlags(command).flatMap((flag) =>
      spellings(flag).map((spelling) => {
        const repeat = flag.repeat ? "*" : "";
        const value = flag.value === undefined ? "" : `:${zshText(flag.value)}:_files`;
        return quote(`${repeat}${spelling}[${zshText(flag.description)}]${value}`);
      })
    );
    const choices = choicesOf(command);
    const first = choices.length === 0
      ? []
      : [quote(`1:${command.arguments[0].name}:(${choices.join(" ")})`)];
    return `    ${command.name}) _arguments ${
      [...specs, ...first, quote("*:file:_files")].join(" \\\n      ")
    } ;;`;
  });
  return `#compdef filesync
# zsh completion for filesync: put it as _filesync into a directory of $fpath
_filesync() {
  local -a commands=(
${names.join("\n")}
  )
  local at=2
  while (( at < CURRENT )) && [[ $words[at] == -* ]]; do (( at++ )); done
  if (( at == CURRENT )); then
    _describe command commands
    return
  fi
  local command=$words[at] next
  for (( next = at + 1; next < CURRENT; next++ )); do
    [[ ${quote(`|${nestedPairs(commands).join("|")}|`)} == *"|$command $words[next]|"* ]] || continue
    at=$next command=$words[next]
    break
  done
  shift $(( at - 1 )) words
  (( CURRENT -= at - 1 ))
  case $command in
${cases.join("\n")}
  esac
}
if [[ $funcstack[1] == _filesync ]]; then _filesync "$@"; else compdef _filesync filesync; fi
`;
}

function fish(commands: readonly Command[]): string {
  const lines = commands.flatMap((command) => [
    `complete -c filesync -n __fish_use_subcommand -f -a ${command.name} -d ${fishQuote(command.summary)}`,
    ...(choicesOf(command).length === 0 ? [] : [
      `complete -c filesync -n ${fishQuote(`__fish_seen_subcommand_from ${command.name}`)} -a ${
        fishQuote(choicesOf(command).join(" "))
      }`,
    ]),
    ...visibleFlags(command).flatMap((flag) => {
      const { name, short, value, negatable, description } = flag;
      const start = `complete -c filesync -n ${fishQuote(`__fish_seen_subcommand_from ${command.name}`)}`;
      const line = `${start} -l ${name}${short ? ` -s ${short}` : ""}${value ? " -r" : ""} -d ${
        fishQuote(description)
      }`;
      return negatable ? [line, `${start} -l no-${name} -d ${fishQuote(`Not: ${description}`)}`] : [line];
    }),
  ]);
  return `# fish completion for filesync: put it into ~/.config/fish/completions/filesync.fish
${lines.join("\n")}
`;
}

function powershell(commands: readonly Command[]): string {
  /** What is completed, a space, and what it is for. */
  const item = (word: string, text: string) => `      ${powershellQuote(`${word} ${text}`)}`;
  const cases = commands.map((command) => {
    const flags = visibleFlags(command).flatMap((flag) =>
      spellings(flag).map((spelling) => item(spelling, flag.description))
    );
    const choices = choicesOf(command).map((choice) => item(choice, command.arguments[0].name));
    return `    ${powershellQuote(command.name)} {\n${[...choices, ...flags].join("\n")}\n    }`;
  });
  return `# PowerShell completion for filesync: put this into the file that $PROFILE names:
#   filesync completions powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName filesync -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $before = @($commandAst.CommandElements | Select-Object -Skip 1 |
    Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
  $command = $before | Where-Object { -not $_.StartsWith('-') } | Select-Object -First 1
  foreach ($word in $before) {
    if (@(${
    nestedPairs(commands).map(powershellQuote).join(", ")
  }) -ccontains "$command $word") { $command = $word; break }
  }
  $isFirst = $before.Count -gt 0 -and $before[-1] -eq $command
  $items = @(switch ("$command") {
${cases.join("\n")}
    default {
${commands.map(({ name, summary }) => item(name, summary)).join("\n")}
    }
  })
  # What completes to nothing here is completed to names of files.
  $items | ForEach-Object {
    $word, $text = $_ -split ' ', 2
    $isFlag = $word.StartsWith('-')
    if (-not $word.StartsWith($wordToComplete, [StringComparison]::Ordinal)) { return }
    if ($isFlag -and -not $wordToComplete.StartsWith('-')) { return }
    if ($command -and -not $isFlag -and -not $isFirst) { return }
    [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $text)
  }
}
`;
}

/** One word for PowerShell, whose single quotes know one escape. */
function powershellQuote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** One word for a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Text inside a specification of `_arguments`, where brackets and colons separate. */
function zshText(text: string): string {
  return text.replace(/[[\]:\\]/g, "\\$&");
}

/** One word for fish, whose single quotes know two escapes. */
function fishQuote(text: string): string {
  return `'${text.replace(/['\\]/g, "\\$&")}'`;
}
