import { Command, CommanderError } from 'commander';
import { nearest } from '../base/nearest.ts';
import { VERSION } from '../base/package.ts';
import { COMMANDS, type CommandEntry } from './commands.ts';
import { EXIT } from './exit-codes.ts';
import { report, say } from './output.ts';

/** The command line. Only the command that was asked for is loaded. */
export async function main(argv: string[]): Promise<void> {
  // A reader that has gone (`ai-session ls | head -1`) is no failure.
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failure));
  const [first] = argv;
  const entry = first === undefined ? undefined : COMMANDS.find(({ name, aliases }) => name === first || aliases.includes(first));
  const program = root();
  // What follows a lone "--" is the session's command, word for word, and no option of ours.
  const split = entry?.takesCommand ? argv.indexOf('--') : -1;
  const command = split === -1 ? [] : argv.slice(split + 1);
  const ours = split === -1 ? argv : argv.slice(0, split);
  try {
    if (entry) await add(program, entry, command);
    else if (first === undefined || first === 'help' || first.startsWith('-')) for (const each of COMMANDS) await add(program, each, []);
    else {
      const near = nearest(
        first,
        COMMANDS.flatMap(({ name, aliases }) => [name, ...aliases]),
      );
      say(`There is no command "${first}".${near ? ` Did you mean "${near}"?` : ''} See them all with: ai-session help`);
      process.exitCode = EXIT.usage;
      return;
    }
    if (first === undefined) program.outputHelp();
    else await program.parseAsync(ours, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    else process.exitCode = report(error, ours.includes('--json'));
  }
}

function root(): Command {
  return new Command('ai-session')
    .description('tmux for AI agents: programs that outlive the terminal, the client and the daemon.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpCommand('help [command]', 'explain a command')
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, '').replace(/^./, (letter) => letter.toUpperCase())) })
    .addHelpText('after', '\nSessions are named exactly, or by id ($1) or pane (%1). Every command takes --json.')
    .exitOverride();
}

async function add(program: Command, { name, aliases, summary, load }: CommandEntry, command: string[]): Promise<void> {
  const definition = program
    .command(name)
    .aliases([...aliases])
    .description(summary)
    .exitOverride();
  (await load()).define(definition, command);
}
