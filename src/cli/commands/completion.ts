import { Argument, Command } from 'commander'
import { type Shell, scriptFor, shells } from '../completion.js'

const EXAMPLES = `
Examples:
  $ source <(handover completion bash)                                    now, in bash
  $ handover completion bash > ~/.local/share/bash-completion/completions/handover
  $ handover completion zsh > "\${fpath[1]}/_handover"
  $ handover completion fish > ~/.config/fish/completions/handover.fish`

/** `handover completion`: what a shell needs to complete commands, options and names. */
export function completionCommand(): Command {
  return new Command('completion')
    .description('Print what a shell needs to complete this command.')
    .addArgument(new Argument('<shell>', 'which shell').choices(shells))
    .addHelpText('after', EXAMPLES)
    .action((shell: Shell, _options: object, command: Command) => {
      process.stdout.write(scriptFor(shell, command.parent as Command))
    })
}
