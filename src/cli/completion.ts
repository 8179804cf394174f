/** Completion for shells, made of the definitions of the commands, so that it knows what they know. */
import type { Command, Option } from 'commander'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/** What a shell is to offer for a value. */
type Values = readonly string[] | 'files' | 'names' | 'nothing'

interface CommandWords {
  name: string
  description: string
  options: { flags: string[]; description: string; takes: Values | null }[]
  /** What its first argument may be. */
  argument: Values
}

/** Names of what runs; completion must never say anything of its own. */
const NAMES = 'handover list --names 2>/dev/null'

export function scriptFor(shell: Shell, program: Command): string {
  const commands = program.commands.map(wordsOf)
  return { bash, zsh, fish }[shell](commands)
}

function wordsOf(command: Command): CommandWords {
  const [argument] = command.registeredArguments
  const help = { flags: ['-h', '--help'], description: 'show the help', takes: null }
  return {
    name: command.name(),
    description: command.description(),
    options: [
      ...command.options.map((option) => ({
        flags: [option.short, option.long].filter((flag) => flag != null),
        description: option.description,
        takes: option.required || option.optional ? valuesOf(option) : null,
      })),
      help,
    ],
    argument:
      argument === undefined
        ? 'nothing'
        : (argument.argChoices ?? (argument.name() === 'script' ? 'files' : 'nothing')),
  }
}

function valuesOf(option: Option): Values {
  if (option.argChoices !== undefined) return option.argChoices
  if (option.long === '--name') return 'names'
  return /<.*(path|module|folder|file|script).*>/.test(option.flags) ? 'files' : 'nothing'
}

function bash(commands: readonly CommandWords[]): string {
  const cases = commands.map(({ name, options, argument }) => {
    const values = options.filter(({ takes }) => takes !== null)
    const before = values.map(
      ({ flags, takes }) => `        ${flags.join(' | ')}) ${bashOffer(takes as Values)}; return ;;`,
    )
    return [
      `    ${name})`,
      ...(before.length > 0 ? ['      case $before in', ...before, '      esac'] : []),
      `      if [[ $word == -* ]]; then COMPREPLY=($(compgen -W '${options.flatMap(({ flags }) => flags).join(' ')}' -- "$word")); return; fi`,
      `      ${bashOffer(argument)}`,
      '      ;;',
    ].join('\n')
  })
  return `# bash completion for handover
_handover() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')} --help --version' -- "$word"))
    return
  fi
  case $command in
${cases.join('\n')}
  esac
}
complete -F _handover handover
`
}

function bashOffer(values: Values): string {
  if (values === 'nothing') return ':'
  if (values === 'files') return 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word"))'
  const words = values === 'names' ? `"$(${NAMES})"` : `'${values.join(' ')}'`
  return `COMPREPLY=($(compgen -W ${words} -- "$word"))`
}

/** Within single quotes of a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

function zsh(commands: readonly CommandWords[]): string {
  const plain = (text: string): string => text.replace(/[[\]:]/g, '\\$&')
  const cases = commands.map(({ name, options, argument }) => {
    const specs = options.flatMap(({ flags, description, takes }) => {
      return flags.map((flag) =>
        quoted(`${flag}[${plain(description)}]${takes === null ? '' : `:value:${zshOffer(takes)}`}`),
      )
    })
    const rest = argument === 'nothing' ? [] : [quoted(`*:argument:${zshOffer(argument)}`)]
    return `    ${name})\n      _arguments ${[...specs, ...rest].join(' \\\n        ')}\n      ;;`
  })
  return `#compdef handover
_handover() {
  local -a commands
  commands=(
${commands.map(({ name, description }) => `    ${quoted(`${name}:${plain(description)}`)}`).join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${cases.join('\n')}
  esac
}
if [[ $funcstack[1] == _handover ]]; then _handover "$@"; else compdef _handover handover; fi
`
}

function zshOffer(values: Values): string {
  if (values === 'nothing') return ' '
  if (values === 'files') return '_files'
  return values === 'names' ? `($(${NAMES}))` : `(${values.join(' ')})`
}

function fish(commands: readonly CommandWords[]): string {
  const lines = commands.flatMap(({ name, description, options, argument }) => {
    const within = `complete -c handover -n '__fish_seen_subcommand_from ${name}'`
    const files = argument === 'files' ? [`${within} -F`] : []
    const offered = Array.isArray(argument) ? [`${within} -a ${quoted(argument.join(' '))}`] : []
    return [
      `complete -c handover -n __fish_use_subcommand -a ${name} -d ${quoted(description)}`,
      ...files,
      ...offered,
      ...options.map(({ flags, description, takes }) => {
        const named = flags
          .map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
          .join(' ')
        return `${within} ${named} -d ${quoted(description)}${takes === null ? '' : fishOffer(takes)}`
      }),
    ]
  })
  return `# fish completion for handover\ncomplete -c handover -f\n${lines.join('\n')}\n`
}

function fishOffer(values: Values): string {
  if (values === 'nothing') return ' -x'
  if (values === 'files') return ' -r -F'
  return ` -x -a ${values === 'names' ? `'(${NAMES})'` : quoted(values.join(' '))}`
}
