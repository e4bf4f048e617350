/**
 * Secrets of well-known shapes in kept output, to warn of them before they leave the machine. A shape is a prefix that means nothing else,
 * or a place that is only for secrets; a long random word alone is a hash, an id or a picture. Every character is looked at a bounded
 * number of times, whatever the text: no pattern here runs over all of it, and where a run of characters ends is found once for the run.
 * A secret that the program broke up itself, by line ends or colours, is not seen: give this the text of whole lines.
 */
export interface Secret {
  kind: SecretKind;
  index: number;
  length: number;
}

export type SecretKind =
  | 'AWS access key'
  | 'AWS secret key'
  | 'GitHub token'
  | 'GitLab token'
  | 'Anthropic key'
  | 'OpenAI key'
  | 'OpenRouter key'
  | 'Slack token'
  | 'Google API key'
  | 'npm token'
  | 'Stripe key'
  | 'Hugging Face token'
  | 'private key'
  | 'JSON web token'
  | 'authorization header'
  | 'password in a URL';

/** In order, and none inside of another. */
export function secretsIn(text: string): Secret[] {
  const found: Secret[] = [];
  const look = new Look(text);
  for (let at = 0; at < text.length; at++) {
    for (const shape of SHAPES[text.charCodeAt(at)] ?? []) {
      const secret = shape(look, at);
      if (!secret) continue;
      found.push({ kind: secret.kind, index: secret.from, length: secret.to - secret.from });
      at = secret.to - 1;
      break;
    }
  }
  return found;
}

/** The text with a note in the place of each secret. */
export function redact(text: string): string {
  let after = 0;
  const parts = secretsIn(text).map(({ kind, index, length }) => {
    const before = text.slice(after, index);
    after = index + length;
    return `${before}[removed: ${kind}]`;
  });
  return parts.join('') + text.slice(after);
}

interface Match {
  kind: SecretKind;
  from: number;
  to: number;
}

/** What may be a secret at a place where its first character is. */
type Shape = (look: Look, at: number) => Match | null;

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const WORD = `${LETTERS}0123456789`;

/** The sets of characters that secrets are made of. `user` and `value` are told by what ends them. */
const SETS = {
  word: one(WORD),
  name: one(`${WORD}_`),
  url: one(`${WORD}_-`),
  base64: one(`${WORD}+/=`),
  bearer: one(`${WORD}-._~+/=`),
  pem: one(`${WORD}+/=\r\n`),
  user: except('/?#@<>"\'`'),
  value: except('&#<>"\'`;,)]'),
};

function one(characters: string): (code: number) => boolean {
  const codes = new Set([...characters].map((character) => character.charCodeAt(0)));
  return (code) => codes.has(code);
}

function except(characters: string): (code: number) => boolean {
  const isOut = one(characters);
  return (code) => code > 0x20 && !isOut(code);
}

/** A text, with what is known of it already. */
class Look {
  readonly text: string;
  readonly #runs = new Map<keyof typeof SETS, { from: number; to: number }>();

  constructor(text: string) {
    this.text = text;
  }

  /** Where a run of such characters ends. Every place in the run gets the same answer, so it is looked for once. */
  end(set: keyof typeof SETS, from: number): number {
    const known = this.#runs.get(set);
    if (known && from >= known.from && from < known.to) return known.to;
    let to = from;
    while (to < this.text.length && SETS[set](this.text.charCodeAt(to))) to++;
    this.#runs.set(set, { from, to });
    return to;
  }

  is(set: keyof typeof SETS, at: number): boolean {
    return at >= 0 && at < this.text.length && SETS[set](this.text.charCodeAt(at));
  }

  /** Whether these lower-case words stand here, in whatever case; `exact` for those that have only one. */
  has(words: string, at: number, exact = false): boolean {
    for (let n = 0; n < words.length; n++) {
      const code = this.text.charCodeAt(at + n);
      const folded = !exact && code >= 65 && code <= 90 ? code + 32 : code;
      if (folded !== words.charCodeAt(n)) return false;
    }
    return true;
  }
}

/** A prefix that nothing else has, and so many characters after it. */
function token(
  kind: SecretKind,
  prefix: string,
  { of, min, max, looks = () => true }: { of: 'word' | 'name' | 'url'; min: number; max: number; looks?: (tail: string) => boolean },
): [first: string, Shape] {
  const shape: Shape = (look, at) => {
    // In the middle of a word it is a part of something else, of a picture for one. Base64 has "/" and "+" too, but so have URLs, and that
    // a picture has these letters and this length between two of them does not happen.
    if (look.is('url', at - 1)) return null;
    if (!look.has(prefix, at, true)) return null;
    const from = at + prefix.length;
    const to = look.end(of, from);
    // The number of characters is a part of the shape, so nothing like them may follow.
    if (to - from < min || to - from > max || look.is('url', to)) return null;
    return looks(look.text.slice(from, to)) ? { kind, from: at, to } : null;
  };
  return [prefix[0]!, shape];
}

const isMixed = (tail: string) => /\d/.test(tail) && /[a-z]/i.test(tail);

/** An RSA key of 16,384 bits has 12 kB. */
const PEM_LIMIT = 16_384;

const privateKey: Shape = (look, at) => {
  if (!look.has('-----BEGIN ', at, true)) return null;
  const [head] = /^-----BEGIN (?:[A-Z\d]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----/.exec(look.text.slice(at, at + 80)) ?? [];
  if (head === undefined) return null;
  const from = at + head.length;
  // The line of another key ends the search as well, so that no text is searched twice.
  let end = from;
  while (end < look.text.length && !look.has('-----', end, true)) end++;
  // Cut off, say by the end of what was kept: all of it that is there.
  const isWhole = look.has('-----END ', end, true) && end - from <= PEM_LIMIT;
  const to = isWhole ? end : Math.min(look.end('pem', from), end, from + PEM_LIMIT);
  // A program that mentions the line has no key after it.
  return /[A-Za-z\d+/]{40}/.test(look.text.slice(from, to)) ? { kind: 'private key', from: at, to } : null;
};

const webToken: Shape = (look, at) => {
  // After a dot it is the second part of one that was looked at.
  if (!look.has('eyJ', at, true) || look.is('url', at - 1) || look.text.charAt(at - 1) === '.') return null;
  const head = look.end('url', at);
  if (look.text.charAt(head) !== '.' || !look.has('eyJ', head + 1, true) || head - at > 4096) return null;
  const body = look.end('url', head + 1);
  if (look.text.charAt(body) !== '.') return null;
  try {
    const header: unknown = JSON.parse(Buffer.from(look.text.slice(at, head), 'base64url').toString());
    if (typeof (header as { alg?: unknown }).alg !== 'string') return null;
  } catch {
    return null;
  }
  return { kind: 'JSON web token', from: at, to: look.end('url', body + 1) };
};

/** After a name: an equals sign, a colon, quotes. */
function afterName(look: Look, from: number): number {
  let at = from;
  while (at < from + 8 && ' \t:="\'\\'.includes(look.text.charAt(at) || '?')) at++;
  return at;
}

const authorization: Shape = (look, at) => {
  if (look.is('name', at - 1) || !look.has('authorization', at)) return null;
  const start = afterName(look, at + 'authorization'.length);
  const scheme = ['bearer ', 'basic ', 'token '].find((scheme) => look.has(scheme, start));
  if (!scheme) return null;
  const from = start + scheme.length;
  const to = look.end('bearer', from);
  // "Bearer YOUR_TOKEN_HERE" is documentation.
  const isReal = scheme === 'basic ' ? to - from >= 8 : to - from >= 16 && hasDigit(look, from, to);
  return isReal ? { kind: 'authorization header', from, to } : null;
};

function hasDigit(look: Look, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (look.text.charCodeAt(at) >= 48 && look.text.charCodeAt(at) <= 57) return true;
  return false;
}

const awsSecret: Shape = (look, at) => {
  const name = ['aws_secret_access_key', 'awssecretaccesskey', 'secretaccesskey', 'secret_access_key'].find((name) => look.has(name, at));
  if (!name || look.is('word', at - 1)) return null;
  const from = afterName(look, at + name.length);
  const to = look.end('base64', from);
  return from > at + name.length && to - from === 40 ? { kind: 'AWS secret key', from, to } : null;
};

/** What stands for a secret in documentation and in programs. */
const PLACEHOLDER = /^([$%{<*]|\[|x+$|\.+$|password$|passwd$|pass$|secret$|your[_-])/i;
const URL_LIMIT = 512;

/** `scheme://user:password@host` */
const userInfo: Shape = (look, at) => {
  if (!look.has('://', at) || !look.is('word', at - 1)) return null;
  const to = look.end('user', at + 3);
  if (look.text.charAt(to) !== '@' || to - at > URL_LIMIT) return null;
  const info = look.text.slice(at + 3, to);
  const colon = info.indexOf(':');
  return colon === -1 || colon === info.length - 1 || PLACEHOLDER.test(info.slice(colon + 1))
    ? null
    : { kind: 'password in a URL', from: at + 3 + colon + 1, to };
};

const SECRET_PARAMETERS = [
  ...['password', 'passwd', 'pwd', 'client_secret', 'api_key', 'apikey', 'access_token', 'refresh_token', 'auth_token'],
].map((name) => `${name}=`);

/** `?password=...` */
const parameter: Shape = (look, at) => {
  const name = SECRET_PARAMETERS.find((name) => look.has(name, at + 1));
  if (!name) return null;
  const from = at + 1 + name.length;
  const to = look.end('value', from);
  const isReal = to > from && to - from <= URL_LIMIT && !PLACEHOLDER.test(look.text.slice(from, Math.min(to, from + 24)));
  return isReal ? { kind: 'password in a URL', from, to } : null;
};

/** By first character. The longer of two prefixes comes first. */
const SHAPES: Record<number, Shape[]> = {};

for (const [first, shape] of [
  ...['AKIA', 'ASIA'].map((prefix) =>
    token('AWS access key', prefix, { of: 'word', min: 16, max: 16, looks: (tail) => /^[A-Z2-7]+$/.test(tail) }),
  ),
  ...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map((prefix) => token('GitHub token', prefix, { of: 'word', min: 36, max: 255 })),
  token('GitHub token', 'github_pat_', { of: 'name', min: 60, max: 255 }),
  token('GitLab token', 'glpat-', { of: 'url', min: 20, max: 300 }),
  token('Anthropic key', 'sk-ant-', { of: 'url', min: 32, max: 255, looks: isMixed }),
  ...['sk-proj-', 'sk-svcacct-', 'sk-admin-'].map((prefix) =>
    token('OpenAI key', prefix, { of: 'url', min: 40, max: 255, looks: isMixed }),
  ),
  token('OpenRouter key', 'sk-or-v1-', { of: 'word', min: 64, max: 64 }),
  token('OpenAI key', 'sk-', { of: 'word', min: 32, max: 64, looks: isMixed }),
  ...['xoxb-', 'xoxp-', 'xoxa-', 'xoxr-', 'xoxs-', 'xoxe-', 'xapp-'].map((prefix) =>
    token('Slack token', prefix, { of: 'url', min: 20, max: 255, looks: isMixed }),
  ),
  token('Google API key', 'AIza', { of: 'url', min: 35, max: 35 }),
  token('npm token', 'npm_', { of: 'word', min: 36, max: 36 }),
  ...['sk_live_', 'rk_live_'].map((prefix) => token('Stripe key', prefix, { of: 'word', min: 20, max: 255, looks: isMixed })),
  token('Hugging Face token', 'hf_', { of: 'word', min: 34, max: 40, looks: (tail) => /[a-z]/.test(tail) && /[A-Z]/.test(tail) }),
  ['-', privateKey],
  ['e', webToken],
  ...[...'aA'].map((first): [string, Shape] => [first, authorization]),
  ...[...'aAsS'].map((first): [string, Shape] => [first, awsSecret]),
  [':', userInfo],
  ['?', parameter],
  ['&', parameter],
] as [string, Shape][])
  (SHAPES[first.charCodeAt(0)] ??= []).push(shape);
