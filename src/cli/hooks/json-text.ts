/** A value in JSON with comments, by its place in the text: what is changed is put in or cut out, and every other byte stays. */
export type JsonNode =
  | { is: 'object' | 'array'; from: number; to: number; children: JsonChild[] }
  | { is: 'string'; from: number; to: number; value: string }
  | { is: 'plain'; from: number; to: number };

export interface JsonChild {
  /** Null in an array. */
  key: string | null;
  /** Where it begins: at the key, in an object. */
  from: number;
  value: JsonNode;
  /** Where the comma after it is, if there is one; also after the last. */
  comma: number | null;
  /** A comment that ends with its line stands right before it. */
  isAfterRemark: boolean;
}

export type Container = Extract<JsonNode, { children: JsonChild[] }>;

/** The text is not JSON, not even with comments. */
export class JsonTextError extends Error {
  override readonly name = 'JsonTextError';
}

/** Nobody writes settings that are deeper, and a reader that calls itself has to end somewhere. */
const DEPTH_LIMIT = 100;

export function parseJsonText(text: string): JsonNode {
  let at = text.startsWith('\uFEFF') ? 1 : 0;

  const fail = (what: string): never => {
    throw new JsonTextError(`${what} in line ${text.slice(0, at).split('\n').length}`);
  };

  /** White space and comments. Says whether the last of them ends with its line. */
  const skip = (): boolean => {
    let isRemark = false;
    at = afterSpace(text, at);
    while (text[at] === '/') {
      isRemark = text[at + 1] === '/';
      if (text[at + 1] === '/') while (at < text.length && text[at] !== '\n' && text[at] !== '\r') at++;
      else if (text[at + 1] === '*') {
        const end = text.indexOf('*/', at + 2);
        if (end === -1) fail('a comment does not end');
        at = end + 2;
      } else fail('"/" is out of place');
      at = afterSpace(text, at);
    }
    return isRemark;
  };

  const token = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0] ?? null;
  };

  const string = (): string => {
    const found = token(STRING);
    if (found === null) return fail('a string does not end');
    try {
      const value = JSON.parse(found) as string;
      at += found.length;
      return value;
    } catch {
      return fail('a string has a wrong escape');
    }
  };

  const value = (depth: number): JsonNode => {
    const from = at;
    if (depth > DEPTH_LIMIT) fail('too much lies in one another');
    if (text[at] === '{' || text[at] === '[') return container(depth);
    if (text[at] === '"') {
      const value = string();
      return { is: 'string', from, to: at, value };
    }
    const found = token(PLAIN);
    if (found === null) return fail(at === text.length ? 'it ends too early' : `"${text[at]}" is out of place`);
    at += found.length;
    return { is: 'plain', from, to: at };
  };

  const container = (depth: number): Container => {
    const from = at++;
    const isObject = text[from] === '{';
    const close = isObject ? '}' : ']';
    const children: JsonChild[] = [];
    for (;;) {
      const isAfterRemark = skip();
      if (text[at] === close) return { is: isObject ? 'object' : 'array', from, to: ++at, children };
      if (children.length > 0 && children.at(-1)!.comma === null)
        fail(at === text.length ? 'it ends too early' : `"${text[at]}" is where a comma should be,`);
      const start = at;
      let key: string | null = null;
      if (isObject) {
        if (text[at] !== '"') fail(at === text.length ? 'it ends too early' : `"${text[at]}" is where a key should be,`);
        key = string();
        skip();
        if (text[at] !== ':') fail('a colon is missing');
        at++;
        skip();
      }
      const child: JsonChild = { key, from: start, value: value(depth + 1), comma: null, isAfterRemark };
      children.push(child);
      skip();
      if (text[at] === ',') child.comma = at++;
    }
  };

  skip();
  const root = value(0);
  skip();
  if (at < text.length) fail(`"${text[at]}" is out of place`);
  return root;
}

const STRING = /"(?:[^"\\\x00-\x1f]|\\.)*"/y;
const PLAIN = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;

/** Null: there is none. A key that is there twice is read as the last one by most, and by nobody with pleasure. */
export function childOf(container: Container, key: string): JsonChild | 'twice' | null {
  const found = container.children.filter((child) => child.key === key);
  return found.length > 1 ? 'twice' : (found[0] ?? null);
}

/** Plain data, to be written. */
export type JsonData = string | number | boolean | null | readonly JsonData[] | { readonly [key: string]: JsonData };

/**
 * Puts a value at the end of a container, in the text's own style. Where the container was empty, the value comes straight after the
 * bracket, and nothing that we write ourselves does: so `removeChild` knows which containers were there before.
 */
export function addChild(text: string, container: Container, key: string | null, value: JsonData): string {
  const layout = layoutOf(text);
  const last = container.children.at(-1);
  const isInline = last ? marginBefore(text, last.from) === null : layout.isInline;
  const margin = (last && marginBefore(text, last.from)) ?? marginOfLine(text, container.from) + layout.unit;
  const label = key === null ? '' : `${JSON.stringify(key)}: `;
  const written = label + write(value, { ...layout, isInline }, margin);
  if (!last) return splice(text, container.from + 1, container.from + 1, written);
  // A remark at the end of the line belongs to what is before it.
  const end = last.comma === null ? last.value.to : last.comma + 1;
  const remark = /[ \t]*(?:\/\/[^\r\n]*|\/\*[^\r\n]*?\*\/)/y;
  remark.lastIndex = end;
  const said = remark.exec(text)?.[0] ?? '';
  const separator = isInline && !said.trimStart().startsWith('//') ? ' ' : layout.eol + margin;
  const withNew = splice(text, end + said.length, end + said.length, separator + written + (last.comma === null ? '' : ','));
  return last.comma === null ? splice(withNew, end, end, ',') : withNew;
}

/** Takes a value out as `addChild` put it in. `isSpare`: nothing is left in its container, which was not there before either. */
export function removeChild(text: string, container: Container, child: JsonChild): { text: string; isSpare: boolean } {
  const { to } = child.value;
  const rest = child.comma === null ? text.slice(to) : text.slice(to, child.comma) + text.slice(child.comma + 1);
  // After a remark that ends with its line, what follows needs a line of its own.
  const keepsSpace = child.isAfterRemark && !/^[ \t]*[\r\n]/.test(rest);
  const from = keepsSpace ? child.from : beforeSpace(text, child.from);
  const left = text.slice(0, from) + rest;
  if (child.comma !== null) return { text: left, isSpare: false };
  const previous = container.children[container.children.indexOf(child) - 1];
  if (previous) return { text: splice(left, previous.comma!, previous.comma! + 1, ''), isSpare: false };
  const inside = text.slice(container.from + 1, from) + text.slice(to, container.to - 1);
  return { text: left, isSpare: child.from > container.from + 1 && inside.trim() === '' };
}

export function splice(text: string, from: number, to: number, put: string): string {
  return text.slice(0, from) + put + text.slice(to);
}

interface Layout {
  eol: string;
  /** One step to the right. */
  unit: string;
  /** All in one line, as programs write it. */
  isInline: boolean;
}

function layoutOf(text: string): Layout {
  const isInline = !text.trim().includes('\n') && !/^\s*\{\s*\}\s*$/.test(text);
  return { eol: text.includes('\r\n') ? '\r\n' : '\n', unit: /\n([ \t]+)"/.exec(text)?.[1] ?? '  ', isInline };
}

/** As `margin` is the line that it begins in; what it opens is closed there. */
export function write(value: JsonData, layout: Layout, margin: string): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = margin + layout.unit;
  const parts = Array.isArray(value)
    ? value.map((item) => write(item, layout, inner))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${write(item, layout, inner)}`);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  if (parts.length === 0) return `${open}${close}`;
  if (layout.isInline) return `${open} ${parts.join(', ')} ${close}`;
  return `${open}${layout.eol}${inner}${parts.join(`,${layout.eol}${inner}`)}${layout.eol}${margin}${close}`;
}

/** Rewrites a value where it stands. */
export function replaceValue(text: string, node: JsonNode, value: JsonData): string {
  const layout = layoutOf(text);
  const isInline = layout.isInline || !text.slice(node.from, node.to).includes('\n');
  return splice(text, node.from, node.to, write(value, { ...layout, isInline }, marginOfLine(text, node.from)));
}

/** The white space before something that begins its line; null when something else does. */
function marginBefore(text: string, at: number): string | null {
  const margin = marginOfLine(text, at);
  const start = text.lastIndexOf('\n', at - 1) + 1;
  return start > 0 && start + margin.length === at ? margin : null;
}

function marginOfLine(text: string, at: number): string {
  return /^[ \t]*/.exec(text.slice(text.lastIndexOf('\n', at - 1) + 1, at))![0];
}

const isSpace = (character: string | undefined) => character === ' ' || character === '\n' || character === '\t' || character === '\r';

function afterSpace(text: string, at: number): number {
  while (isSpace(text[at])) at++;
  return at;
}

function beforeSpace(text: string, at: number): number {
  while (isSpace(text[at - 1])) at--;
  return at;
}
