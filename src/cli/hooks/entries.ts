import {
  addChild,
  type Container,
  childOf,
  type JsonChild,
  type JsonData,
  type JsonNode,
  parseJsonText,
  removeChild,
  replaceValue,
  write,
} from './json-text.ts';

/** For each event the hook that is to be called. */
export type Hooks = ReadonlyMap<string, Hook>;

export type Hook = { readonly [key: string]: JsonData } & { readonly command: string };

/** The text is JSON, and not what an agent keeps its hooks in. The message says what is where. */
export class OddShapeError extends Error {
  override readonly name = 'OddShapeError';
}

/** A hook of ours, of any version: nobody else has a reason to run what this variable names. */
const OURS = /\$\{?AI_SESSION_HOOK\b/;

/** An agent's settings with these hooks of ours, and no other of ours. Null: there is no file yet. */
export function withHooks(before: string | null, hooks: Hooks): string {
  if (before === null || before.trim() === '') {
    const groups = Object.fromEntries([...hooks].map(([event, hook]) => [event, [{ hooks: [hook] }]]));
    return `${write({ hooks: groups }, { eol: '\n', unit: '  ', isInline: false }, '')}\n`;
  }
  for (const event of hooks.keys()) placesFor(before, event);
  let text = withoutWhere(before, ({ event, isFirst }) => !hooks.has(event) || !isFirst);
  if (text === null) return withHooks(null, hooks);
  // One after the other, each in the text that the one before left: places move.
  for (const [event, hook] of hooks) text = withHook(text, event, hook);
  return text;
}

/** An agent's settings as they were before `withHooks`. Null: there was no file. */
export function withoutHooks(text: string): string | null {
  return withoutWhere(text, () => true);
}

/** The hooks of ours that are there, by their events, in the order of the file; an event may be there twice. */
export function hooksIn(text: string): { event: string; command: string }[] {
  return [...ours(text)].map(({ event, command }) => ({ event, command }));
}

function withHook(text: string, event: string, hook: Hook): string {
  for (const found of ours(text)) {
    if (found.event !== event) continue;
    const node = found.handler.value;
    return JSON.stringify(toData(text, node)) === JSON.stringify(hook) ? text : replaceValue(text, node, hook);
  }
  const group = { hooks: [hook] };
  const { root, hooks, groups } = placesFor(text, event);
  if (groups) return addChild(text, groups, null, group);
  if (hooks) return addChild(text, hooks, event, [group]);
  return addChild(text, root, 'hooks', { [event]: [group] });
}

interface Places {
  root: Container;
  /** What `hooks` is. */
  hooks: Container | null;
  /** What is under the event. */
  groups: Container | null;
}

/** Where a hook belongs. Throws when something else is there. */
function placesFor(text: string, event: string): Places {
  const root = parseJsonText(text);
  if (root.is !== 'object') throw new OddShapeError(`it is ${nameOf(root)}, and not an object`);
  const hooks = containerIn(root, 'hooks', 'hooks', 'object');
  const groups = hooks && containerIn(hooks, event, `hooks.${event}`, 'array');
  return { root, hooks, groups };
}

function containerIn(container: Container, key: string, path: string, wanted: Container['is']): Container | null {
  const child = childOf(container, key);
  if (child === null) return null;
  if (child === 'twice') throw new OddShapeError(`"${path}" is there twice`);
  const { value } = child;
  if (value.is === 'array' || value.is === 'object') if (value.is === wanted) return value;
  throw new OddShapeError(`"${path}" is ${nameOf(value)}, and not ${wanted === 'array' ? 'a list' : 'an object'}`);
}

function nameOf({ is }: JsonNode): string {
  return { object: 'an object', array: 'a list', string: 'a string', plain: 'a number, true, false or null' }[is];
}

interface Found {
  event: string;
  command: string;
  /** The first of ours under its event. */
  isFirst: boolean;
  /** From the file itself down to the handler: each with the container that it is in. */
  path: { container: Container; child: JsonChild }[];
  handler: JsonChild;
}

/** Whatever has another shape is somebody else's. */
function* ours(text: string): Generator<Found> {
  const root = parseJsonText(text);
  if (root.is !== 'object') return;
  for (const all of members(root, 'object')) {
    if (all.child.key !== 'hooks') continue;
    for (const event of members(all.child.value, 'object')) {
      let isFirst = true;
      for (const group of members(event.child.value, 'array')) {
        for (const list of members(group.child.value, 'object')) {
          if (list.child.key !== 'hooks') continue;
          for (const handler of members(list.child.value, 'array')) {
            const command = commandOf(handler.child.value);
            if (command === null || !OURS.test(command)) continue;
            yield { event: event.child.key!, command, isFirst, path: [all, event, group, list, handler], handler: handler.child };
            isFirst = false;
          }
        }
      }
    }
  }
}

function members(node: JsonNode, wanted: Container['is']): { container: Container; child: JsonChild }[] {
  if (node.is !== wanted || !('children' in node)) return [];
  return node.children.map((child) => ({ container: node, child }));
}

function commandOf(node: JsonNode): string | null {
  if (node.is !== 'object') return null;
  const command = childOf(node, 'command');
  return command !== null && command !== 'twice' && command.value.is === 'string' ? command.value.value : null;
}

/** Null: nothing is left but what we had made, the file included. */
function withoutWhere(text: string, isUnwanted: (found: Found) => boolean): string | null {
  for (;;) {
    // From the end on: the first to be put into an empty container says by its place that this was there before.
    const found = [...ours(text)].findLast(isUnwanted);
    if (!found) return text;
    const left = without(text, found.path);
    if (left === null) return null;
    text = left;
  }
}

function without(text: string, [all, event, group, list, handler]: Found['path']): string | null {
  // A group of ours has one hook. In one with others, only the hook goes.
  if ((list!.child.value as Container).children.length > 1) return removeChild(text, handler!.container, handler!.child).text;
  for (const { container, child } of [group!, event!, all!]) {
    const { text: left, isSpare } = removeChild(text, container, child);
    if (!isSpare) return left;
    if (container === all!.container) return /^\s*\{\s*\}\s*$/.test(left) ? null : left;
  }
  throw new Error('a path ends at the root');
}

function toData(text: string, node: JsonNode): JsonData {
  if (node.is === 'string') return node.value;
  if (node.is === 'plain') return JSON.parse(text.slice(node.from, node.to)) as JsonData;
  if (node.is === 'array') return node.children.map(({ value }) => toData(text, value));
  return Object.fromEntries(node.children.map(({ key, value }) => [key!, toData(text, value)]));
}
