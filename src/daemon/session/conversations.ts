import { createHash } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { lstat, open, opendir, readlink, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';

/**
 * Coding agents' own conversations: which agent a command is, which conversation it had, and the command that goes on with it. What is
 * said here of an agent was seen on Claude Code 2.1.197, Codex 0.169.0 and Gemini CLI 0.61.0: their --help, their sources, and real runs.
 */
export type Agent = 'claude' | 'codex' | 'gemini';

/** The agent that a command starts, through the wrappers that people use, or null. A line of shell counts when it is one command. */
export function agentOf(argv: readonly string[]): Agent | null {
  return locate(argv.map(word))?.agent ?? null;
}

/**
 * The id that an agent printed as it ended. Each says a sentence first, and only that counts: conversations are full of other people's ids.
 * Takes the last lines of the output, without escape sequences. A narrow terminal breaks the line, and Gemini draws a box around it.
 */
export function conversationFrom(text: string): { agent: Agent; id: string } | null {
  const lines = text.slice(-TAIL_CHARACTERS).split(/\r?\n/);
  const joined = lines.map((line) => line.replace(/[│|╭╮╰╯─]/g, ' ').trim()).join('');
  const found = [...joined.matchAll(FAREWELL)].at(-1);
  // Further up it was quoted by somebody.
  if (!found || joined.length - found.index - found[0].length > AFTER_CHARACTERS) return null;
  const [agent, id] = Object.entries(found.groups!).find(([, id]) => id !== undefined) as [Agent, string];
  return { agent, id };
}

export interface Whereabouts {
  /** Where the agent ran. */
  cwd: string;
  home: string;
  /** When the session began, and when it was last known to run: what began later is somebody else's. */
  since: number;
  until?: number;
  /** The session's program. It may have ended since, by a reboot say. */
  pid?: number | null;
  /** The session's environment, for agents that were told to keep their files elsewhere. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Conversations that are known to be other sessions'. */
  taken?: ReadonlySet<string>;
  /** Another session had the same agent in the same folder meanwhile: of two conversations neither is then known to be this one's. */
  isShared?: boolean;
}

/**
 * The conversation that an agent's own files tell of: by process where they say so, else the latest one of this folder that changed while
 * the session was there. Null when there is none to go back to, or two were under way at once. Never throws, and reads a bounded amount.
 */
export async function conversationOnDisk(agent: Agent, where: Whereabouts): Promise<string | null> {
  const folders = new Set([where.cwd, await realpath(where.cwd).catch(() => where.cwd)]);
  const processes = await familyOf(where.pid ?? null);
  const env = where.env ?? {};
  const named = agent === 'claude' ? await claudeByProcess({ ...where, env }, processes) : null;
  const sure = new Set(named ? [named] : await openFiles(processes));
  const found = await STORES[agent]({ ...where, env, folders, sure, budget: { left: LOOKS } });
  const own = found.filter(({ id, path }) => sure.has(id) || sure.has(path));
  // One that has not been spoken to yet has a name and no transcript: another conversation here is not its own.
  if (own.length === 1 || named) return own[0]?.id ?? null;
  const [newest, ...others] = found.filter(({ id }) => !where.taken?.has(id));
  if (!newest || (where.isShared && others.length > 0)) return null;
  // One that still changed after the newest had begun went on beside it.
  return others.some(({ changed }) => changed > newest.born) ? null : newest.id;
}

/**
 * The command that goes on with a conversation: the same program and options, with the agent's own form of resuming. A first prompt goes:
 * it was answered. Null for a command that holds no conversation to go back to (`claude -p`, `codex exec`, `gemini mcp`).
 */
export function resumeCommand(argv: readonly string[], agent: Agent, id: string): [string, ...string[]] | null {
  const found = conversational(argv, agent);
  if (!found || !UUID.test(id)) return null;
  const { words, at, wrap } = found;
  const kept = found.options.filter(({ name }) => !GRAMMARS[agent].replaced.has(name)).flatMap((option) => option.words);
  // The id comes before the options: Codex's `--image FILE...` and Claude's `--add-dir DIR...` would take it for one more of theirs.
  const form = agent === 'codex' ? ['resume', id] : ['--resume', id];
  return wrap([...words.slice(0, at), ...form.map(word), ...kept]);
}

/**
 * A command that starts Claude with an id that we chose, so that its conversation is known from the beginning; null where that is not safe.
 * `claude --session-id` is refused beside --resume and --continue (but with --fork-session), and for an id that has a transcript already.
 * It holds for the first conversation only: /clear begins another. Gemini has the option since lately, and an older one would not start.
 */
export function withKnownConversation(argv: readonly string[], uuid: string): [string, ...string[]] | null {
  const found = conversational(argv, 'claude');
  if (!found || !UUID.test(uuid) || found.options.some(({ name }) => GRAMMARS.claude.replaced.has(name))) return null;
  const { words, at, wrap } = found;
  return wrap([...words.slice(0, at), ...['--session-id', uuid].map(word), ...words.slice(at)]);
}

const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;
const ID = UUID.source.slice(1, -1);
const TAIL_CHARACTERS = 8192;
/** Codex has two more sentences after it. */
const AFTER_CHARACTERS = 400;
/** Folder entries and files that are looked at; Codex itself stops at 10,000 files. */
const LOOKS = 20_000;
/** Transcripts whose beginnings are read, newest first, and how much of each. Codex's first line has its whole prompt: 22 kB. */
const HEADS = 48;
const HEAD_BYTES = 256 * 1024;
/** A file's times come from a coarser clock than ours. */
const CLOCK_MS = 100;

/**
 * Claude says it only for a conversation that is on disk; one with a title is printed by its title, which finds it less surely. Codex says
 * "To continue" when it ran by itself and "To reconnect" when its server goes on. The 36 characters end the id, whatever follows: Claude
 * 2.1.88 left the end of an older line behind it.
 */
const FAREWELLS = [
  `Resume this session with: claude (?:--worktree \\S{1,200}? )?--resume (?<claude>${ID})`,
  `To (?:continue this session|reconnect), run:? codex resume (?<codex>${ID})`,
  `To resume this session: gemini --resume (?<gemini>${ID})`,
];
const FAREWELL = new RegExp(FAREWELLS.join('|').replaceAll(' ', '\\s*'), 'gi');

/** A word of a command: what it means, and how it was written. They differ in a line of shell. */
type Word = { text: string; raw: string };

interface Located {
  agent: Agent;
  words: Word[];
  /** The first word that is the agent's own. */
  at: number;
  /** Makes a command of other words again. */
  wrap(words: readonly Word[]): [string, ...string[]];
}

const word = (text: string): Word => ({ text, raw: text });

const PACKAGES: Record<string, Agent> = { '@anthropic-ai/claude-code': 'claude', '@openai/codex': 'codex', '@google/gemini-cli': 'gemini' };

const programNamed = (path: string): Agent | null => Object.values(PACKAGES).find((name) => name === basename(path)) ?? null;

const asArgv: Located['wrap'] = (words) => words.map(({ raw }) => raw) as [string, ...string[]];

function locate(words: Word[], wrap = asArgv, isShell = false): Located | null {
  let at = 0;
  const skip = (pattern: RegExp, withValue = /^$/) => {
    while (at < words.length && pattern.test(words[at]!.text)) at += withValue.test(words[at]!.text) ? 2 : 1;
  };
  if (isShell) skip(/^([A-Za-z_]\w*=.*|exec|command)$/s);
  while (at < words.length) {
    const name = basename(words[at++]!.text);
    const agent = programNamed(name);
    if (agent) return { agent, words, at, wrap };
    if (name === 'env') {
      skip(/^(-|-i|-0|--ignore-environment|-u|--unset(=.*)?|-C|--chdir(=.*)?)$/s, /^(-u|--unset|-C|--chdir)$/);
      skip(/^(--|[^-=][^=]*=.*)$/s);
      if (words[at]?.text.startsWith('-')) return null;
    } else if (name === 'npx' || name === 'bunx') {
      skip(/^-/, /^(-p|--package)$/);
      const [, asked = ''] = /^(@?[^@]+)(@.*)?$/.exec(words[at]?.text ?? '') ?? [];
      const known = PACKAGES[asked] ?? programNamed(asked);
      return known ? { agent: known, words, at: at + 1, wrap } : null;
    } else if (name === 'node' || name === 'bun') {
      // With -e and its like there is no file to know it by.
      skip(/^-(?!e$|p$|-eval|-print$|c$|-check$)/, /^(-r|--require|--import|--loader|-C|--conditions)$/);
      const script = words[at]?.text ?? '';
      const home = Object.keys(PACKAGES).find((name) => script.includes(`/node_modules/${name}/`));
      const known = home === undefined ? programNamed(script) : PACKAGES[home]!;
      return known && !script.startsWith('-') ? { agent: known, words, at: at + 1, wrap } : null;
    } else if (/^(ba|z|da|k)?sh$/.test(name) && !isShell) {
      skip(/^(-[a-bd-z]+|--(login|norc|noprofile|posix))$/);
      const script = words[at + 1];
      if (!/^-[a-z]*c$/.test(words[at]?.text ?? '') || !script || words.length > at + 2) return null;
      const inner = splitCommand(script.text);
      const before = words.slice(0, -1);
      return inner && locate(inner, (line) => wrap([...before, word(line.map(({ raw }) => raw).join(' '))]), true);
    } else return null;
  }
  return null;
}

/**
 * The words of one simple command, each as it is written and as it is meant; null for any other line of shell. An expansion is left alone
 * inside of quotes, where it stays one word, and not taken outside of them, where it may be none or ten.
 */
function splitCommand(script: string): Word[] | null {
  const words: Word[] = [];
  let at = 0;
  const line = script.trim();
  while (at < line.length) {
    let [text, raw] = ['', ''];
    for (; at < line.length && !/[ \t]/.test(line[at]!); at++) {
      const character = line[at]!;
      const start = at;
      if (/[\n;&|<>()`$]/.test(character) || (character === '#' && raw === '')) return null;
      if (character === '\\') text += line[++at] ?? '';
      else if (character === "'" || character === '"') {
        for (at++; at < line.length && line[at] !== character; at++) {
          const isEscape = character === '"' && line[at] === '\\' && /[\\"$`\n]/.test(line[at + 1] ?? '');
          if (character === '"' && (line[at] === '`' || (line[at] === '$' && /[({]/.test(line[at + 1] ?? '')))) return null;
          text += isEscape ? line[++at] : line[at];
        }
        if (at >= line.length) return null;
      } else text += character;
      raw += line.slice(start, at + 1);
    }
    words.push({ text, raw });
    while (/[ \t]/.test(line[at] ?? '')) at++;
  }
  return words;
}

type Option = { name: string; words: Word[] };

/**
 * What an agent's command line takes, by its --help: options with a value, with every word up to the next option (`many`), and with none.
 * Any other one takes the next word unless that is an option, as `--resume [value]` does, and as is best for one that we do not know.
 * `other` are first words that make it something else than a conversation; `once` options after which there is none to go back to, or none
 * that can be found again; `replaced` those that say which conversation, or belong to a first prompt.
 */
type Grammar = Record<'value' | 'many' | 'flags' | 'other' | 'once' | 'replaced', ReadonlySet<string>>;

const set = (words: string): ReadonlySet<string> => new Set(words.split(/\s+/));

const GRAMMARS: Record<Agent, Grammar> = {
  claude: {
    value: set(
      `--agent --agents --append-system-prompt --append-system-prompt-file --autocompact --debug-file --effort --fallback-model
       --input-format --json-schema --max-budget-usd --max-thinking-tokens --max-turns --model -n --name --output-format --permission-mode
       --permission-prompt-tool --plugin-dir --plugin-url --remote-control-session-name-prefix --resume-session-at --rewind-files
       --session-id --setting-sources --settings --system-prompt --system-prompt-file --task-budget --thinking`,
    ),
    many: set(
      '--add-dir --allowedTools --allowed-tools --betas --channels --disallowedTools --disallowed-tools --file --mcp-config --tools',
    ),
    flags: set(
      `-p --print --bg --background -h --help -v --version -c --continue --fork-session --allow-dangerously-skip-permissions
       --ax-screen-reader --bare --brief --chrome --no-chrome --dangerously-skip-permissions --disable-slash-commands
       --exclude-dynamic-system-prompt-sections --ide --include-hook-events --include-partial-messages --no-session-persistence
       --replay-user-messages --safe-mode --strict-mcp-config --tmux --verbose`,
    ),
    other: set(
      `agents auth auto-mode doctor gateway install mcp plugin plugins project setup-token ultrareview update upgrade
       attach logs assistant ssh remote-control`,
    ),
    once: set('-p --print --bg --background -h --help -v --version --no-session-persistence --cloud --remote --teleport'),
    // "--session-id can only be used with --continue or --resume if --fork-session is also specified"; and a fork was made already.
    replaced: set('-r --resume -c --continue --session-id --from-pr --fork-session --resume-session-at --rewind-files'),
  },
  codex: {
    value: set(
      `-c --config --enable --disable --remote --remote-auth-token-env -m --model --local-provider -p --profile -s --sandbox -C --cd
       --add-dir -a --ask-for-approval`,
    ),
    many: set('-i --image'),
    flags: set(
      `--strict-config --oss --approve-for-me --dangerously-bypass-approvals-and-sandbox --dangerously-bypass-hook-trust --worktree
       --search --no-alt-screen --no-daemon -h --help -V --version --last --all --include-non-interactive --full-auto`,
    ),
    other: set(
      `agents exec e review login logout mcp mcp-server plugin app-server remote-control completion update doctor sandbox debug apply a
       queue archive delete migrate-rollouts migrate-nfs-db unarchive cloud exec-server features help`,
    ),
    once: set('-h --help -V --version'),
    // `codex resume [SESSION_ID] [PROMPT]` takes every option of `codex`. Pictures belong to the prompt; a worktree would be one more.
    replaced: set('--last --all --include-non-interactive -i --image --worktree'),
  },
  gemini: {
    value: set(
      `-m --model -p --prompt -i --prompt-interactive --approval-mode --policy --admin-policy --allowed-mcp-server-names --allowed-tools
       -e --extensions --session-file --session-id --delete-session --include-directories -o --output-format`,
    ),
    many: set(''),
    flags: set(
      `-d --debug --skip-trust -s --sandbox -y --yolo --acp --experimental-acp -l --list-extensions --list-sessions --screen-reader
       --raw-output --accept-raw-output-risk -v --version -h --help`,
    ),
    other: set('mcp extensions extension skills skill hooks hook gemma'),
    // It looks for conversations of the folder it is in, and a worktree is another one.
    once: set(
      '-p --prompt --acp --experimental-acp -l --list-extensions --list-sessions --delete-session -w --worktree -v --version -h --help',
    ),
    // "The flags --resume, --session-id, and --session-file are mutually exclusive."
    replaced: set('-r --resume --session-id --session-file -i --prompt-interactive'),
  },
};

/** A command that holds a conversation with this agent, and its options; null for any other. */
function conversational(argv: readonly string[], agent: Agent): (Located & { options: Option[] }) | null {
  const located = locate(argv.map(word));
  if (located?.agent !== agent) return null;
  const { other, once } = GRAMMARS[agent];
  const { options, operands } = parse(GRAMMARS[agent], located.words.slice(located.at));
  if (other.has(operands[0]?.text ?? '') || options.some(({ name }) => once.has(name))) return null;
  // Claude makes a new worktree, with a new name, each time that none is given.
  const isNameless = ({ name, words }: Option) => /^(-w|--worktree)$/.test(name) && words.length < 2 && !words[0]!.text.includes('=');
  return agent === 'claude' && options.some(isNameless) ? null : { ...located, options };
}

function parse({ value, many, flags }: Grammar, words: readonly Word[]): { options: Option[]; operands: Word[] } {
  const options: Option[] = [];
  const operands: Word[] = [];
  const isOption = (found: Word | undefined) => found !== undefined && /^-./s.test(found.text);
  for (let at = 0; at < words.length; at++) {
    const first = words[at]!;
    if (first.text === '--') return { options, operands: [...operands, ...words.slice(at + 1)] };
    if (!isOption(first)) {
      operands.push(first);
      continue;
    }
    const [, long] = /^(--[^=]+)=/.exec(first.text) ?? [];
    // Short flags in one word (`-cp`): each by itself, up to one that takes the rest of the word.
    const letters = first.text.startsWith('--') || first.text !== first.raw ? [] : [...first.text.slice(1)];
    let own = first;
    while (letters.length > 1 && flags.has(`-${letters[0]}`)) {
      const name = `-${letters.shift()}`;
      options.push({ name, words: [word(name)] });
      own = word(`-${letters.join('')}`);
    }
    const name = long ?? (letters.length > 0 ? `-${letters[0]}` : first.text);
    const option: Option = { name, words: [own] };
    options.push(option);
    if (long !== undefined || letters.length > 1) continue;
    const next = words[at + 1];
    if (many.has(name)) while (words[at + 1] && !isOption(words[at + 1])) option.words.push(words[++at]!);
    else if (next && (value.has(name) || (!flags.has(name) && !isOption(next)))) option.words.push(words[++at]!);
  }
  return { options, operands };
}

/** A conversation of this folder that changed while the session was there. */
interface Candidate {
  id: string;
  path: string;
  born: number;
  changed: number;
}

interface Place extends Whereabouts {
  /** The folder by all of its names. */
  folders: ReadonlySet<string>;
  env: Readonly<Record<string, string | undefined>>;
  /** Ids and files that are known to be the session's own, changed or not. */
  sure: ReadonlySet<string>;
  /** How much may still be looked at. */
  budget: { left: number };
}

/** What the beginning of a transcript says of itself: when it began; or null when it is no conversation of this folder to go back to. */
type Reader = (head: string, id: string) => { id: string; born: number } | null;

const STORES: Record<Agent, (place: Place) => Promise<Candidate[]>> = {
  /** `projects/FOLDER/ID.jsonl`. What `claude -p` and the SDK leave in there was never on a screen. */
  async claude(place) {
    const folders = [...place.folders].map((folder) => join(claudeHome(place), 'projects', claudeFolder(folder)));
    return candidates(place, { folders, file: new RegExp(`^(${ID})\\.jsonl$`, 'i') }, (head, id) => {
      const records = recordsIn(head);
      // Two folders can share a name here, since "." and "-" become the same; the transcript has the right one.
      const cwds = records.flatMap(({ cwd }) => (typeof cwd === 'string' ? [cwd] : []));
      const isElsewhere = cwds.length > 0 && !cwds.some((cwd) => place.folders.has(cwd));
      const isScript = records.some(({ entrypoint }) => String(entrypoint).startsWith('sdk'));
      // A first message with a picture in it is longer than what is read.
      const isSpoken = records.some(({ type }) => type === 'user') || (head.length > HEAD_BYTES / 2 && head.includes('"type":"user"'));
      return isElsewhere || isScript || !isSpoken ? null : { id, born: earliest(records.map(({ timestamp }) => timestamp)) };
    });
  },
  /** `sessions/YYYY/MM/DD/rollout-TIME-ID.jsonl`, by the day it began: one that was resumed stays where it was. */
  async codex(place) {
    const base = place.env.CODEX_HOME || join(place.home, '.codex');
    let folders = [join(base, 'sessions')];
    for (const digits of [/^\d{4}$/, /^\d\d$/, /^\d\d$/]) {
      const below: string[] = [];
      for (const folder of folders)
        for (const name of (await namesIn(folder, place.budget)).sort().reverse()) if (digits.test(name)) below.push(join(folder, name));
      folders = below;
    }
    return candidates(place, { folders, file: new RegExp(`^rollout-.{19}-(${ID})\\.jsonl$`, 'i') }, (head, id) => {
      const payload = recordsIn(head)[0]?.payload as Record<string, unknown> | undefined;
      // The source is "cli", or "vscode" when Codex's own server ran it; an object for its subagents. `codex exec` was never on a screen.
      const isShown = typeof payload?.source !== 'object' && payload?.source !== 'exec' && payload?.source !== 'mcp';
      return isShown && payload?.id === id && place.folders.has(payload.cwd as string) ? { id, born: earliest([payload.timestamp]) } : null;
    });
  },
  /** `tmp/NAME/chats/session-TIME-ID8.jsonl`, the name by `projects.json`; of old a hash of the folder, and one JSON value. */
  async gemini(place) {
    const base = join(place.env.GEMINI_CLI_HOME || place.home, '.gemini');
    const hashes = [...place.folders].map((folder) => createHash('sha256').update(folder).digest('hex'));
    const [registry] = recordsIn((await headOf(join(base, 'projects.json')))?.replaceAll('\n', '') ?? '');
    const projects = Object.entries(registry?.projects ?? {}).filter(([folder]) => place.folders.has(folder));
    const names = [...hashes, ...projects.map(([, name]) => name as unknown)];
    const folders = names.filter((name) => typeof name === 'string').map((name) => join(base, 'tmp', basename(name), 'chats'));
    return candidates(place, { folders, file: /^session-.*-([\da-f]{8})\.jsonl?$/i }, (head) => {
      const first = (key: string) => new RegExp(`"${key}"\\s*:\\s*"([^"]*)"`).exec(head)?.[1];
      const id = first('sessionId') ?? '';
      // "No previous sessions found for this project": one in which nothing was said is not resumed.
      const isSpoken = recordsIn(head).some(({ type }) => type === 'user' || type === 'gemini') || /^ +"type": "(user|gemini)"/m.test(head);
      const isOurs = hashes.includes(first('projectHash') ?? '') && first('kind') !== 'subagent';
      return UUID.test(id) && isOurs && isSpoken ? { id, born: earliest([first('startTime')]) } : null;
    });
  },
};

const claudeHome = ({ env, home }: Whereabouts) => env?.CLAUDE_CONFIG_DIR || join(home, '.claude');

/** A folder as Claude names it: what is no letter or digit is a dash, and past 200 characters comes a hash (of 32 bits, as Java's). */
function claudeFolder(folder: string): string {
  const path = folder.normalize('NFC');
  const name = path.replace(/[^a-zA-Z0-9]/g, '-');
  let hash = 0;
  for (let at = 0; at < path.length; at++) hash = (hash * 31 + path.charCodeAt(at)) | 0;
  return name.length <= 200 ? name : `${name.slice(0, 200)}-${Math.abs(hash).toString(36)}`;
}

/** `sessions/PID.json` says what a running Claude is at, after /clear too. It is removed at the end, but not by a reboot. */
async function claudeByProcess(place: Whereabouts, processes: readonly number[]): Promise<string | null> {
  for (const pid of processes) {
    const [entry] = recordsIn((await headOf(join(claudeHome(place), 'sessions', `${pid}.json`))) ?? '');
    const { sessionId, startedAt } = entry ?? {};
    if (typeof sessionId === 'string' && UUID.test(sessionId) && Number(startedAt) >= place.since - CLOCK_MS) return sessionId;
  }
  return null;
}

/** Newest first, each id once: Gemini goes on in another file when it resumes an old one. */
async function candidates(place: Place, { folders, file }: { folders: string[]; file: RegExp }, read: Reader): Promise<Candidate[]> {
  const files: { name: string; path: string; about: Stats; isSure: boolean }[] = [];
  for (const folder of new Set(folders)) {
    for (const entry of await namesIn(folder, place.budget)) {
      const [, name] = file.exec(entry) ?? [];
      if (name === undefined || place.budget.left-- <= 0) continue;
      const path = join(folder, entry);
      const isSure = place.sure.has(name) || place.sure.has(path);
      const about = await lstat(path).catch(() => null);
      if (about && (isSure || about.mtimeMs >= place.since - CLOCK_MS)) files.push({ name, path, about, isSure });
    }
  }
  const found = new Map<string, Candidate>();
  files.sort((a, b) => b.about.mtimeMs - a.about.mtimeMs);
  for (const { name, path, about } of [...files.filter(({ isSure }) => isSure), ...files].slice(0, HEADS)) {
    const said = read((await headOf(path)) ?? '', name);
    const born = said && Number.isFinite(said.born) ? said.born : about.birthtimeMs;
    if (said && !found.has(said.id) && born <= (place.until ?? Number.POSITIVE_INFINITY))
      found.set(said.id, { id: said.id, path, born, changed: about.mtimeMs });
  }
  return [...found.values()].sort((a, b) => b.changed - a.changed);
}

const earliest = (times: readonly unknown[]) => Math.min(...times.map((time) => Date.parse(String(time))).filter(Number.isFinite));

/** The lines of JSON that are whole. */
function recordsIn(head: string): Record<string, unknown>[] {
  return head.split('\n').flatMap((line) => {
    try {
      const value: unknown = line.startsWith('{') ? JSON.parse(line) : null;
      return value ? [value as Record<string, unknown>] : [];
    } catch {
      return [];
    }
  });
}

async function namesIn(folder: string, budget: Place['budget']): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of await opendir(folder))
      if (budget.left-- > 0) names.push(name);
      else break;
  } catch {
    // It is not there, or not for us.
  }
  return names;
}

/** The beginning of a regular file. A pipe would hold us up, and a link is nobody's transcript. */
async function headOf(path: string): Promise<string | null> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    if (!(await file.stat()).isFile()) return null;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch {
    return null;
  }
}

/** A process and what it started: `npx` is not the agent itself. */
async function familyOf(pid: number | null): Promise<number[]> {
  const family = pid === null ? [] : [pid];
  for (let at = 0; at < family.length && family.length < 64; at++) {
    const children = (await headOf(`/proc/${family[at]}/task/${family[at]}/children`)) ?? '';
    family.push(...children.split(' ').filter(Boolean).map(Number));
  }
  return family;
}

/** Codex keeps its transcript open, unless its server does (since 0.16x); Claude and Gemini open theirs for each line. */
async function openFiles(processes: readonly number[]): Promise<Set<string>> {
  const open = new Set<string>();
  for (const pid of processes) {
    for (const name of await namesIn(`/proc/${pid}/fd`, { left: 1024 }))
      open.add(await readlink(`/proc/${pid}/fd/${name}`).catch(() => ''));
  }
  return open;
}
