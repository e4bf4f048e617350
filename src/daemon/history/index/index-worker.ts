import { existsSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { JournalPlace } from '../../persistence/journal/reader.ts';
import { answerOf, matcherOf, Newest, type SearchPlace } from '../search.ts';
import { gramQuery } from './grams.ts';
import { isIndexDamage, NoIndexError, openIndex, setAside } from './index-database.ts';
import { indexPane, isBehind, linesOfBlock } from './index-pane.ts';
import { type IndexPlace, IndexStore } from './index-store.ts';
import type { IndexAnswer, IndexMessage, IndexQuery, IndexRequest, IndexWorkerData } from './index-thread.ts';

/** In the background it rests three times as long as it worked: no more than a quarter of a core, whatever programs write. */
const REST = 3;
/** And begins a pane anew after twenty times what the last time took: output without line ends is read from far behind each time. */
const AGAIN = 20;
/** Panes that are read in turn, so that a flood in one holds up no other. Each has a few megabytes in memory. */
const TOGETHER = 4;
/** After an error, which would be the same at once. */
const AFTER_ERROR_MS = 60_000;
/** Blocks between two looks at the clock, and at what else is to be done. */
const LOOK_EVERY = 8;

const { file, drivers } = workerData as IndexWorkerData;

let store: IndexStore | null = null;
let isClosing = false;
let isWorking = false;
/** All panes that were ever named, for the case that everything is to be read again. */
const known = new Map<string, IndexPlace>();
/** Those that may have more than the index, and when they may be looked at. */
const waiting = new Map<string, number>();
/** When a pane may be looked at again. */
const cooling = new Map<string, number>();
/** What is being read. */
const running = new Map<string, { steps: Generator<void>; tookMs: number }>();

/** How many requests came. */
let heard = 0;

parentPort!.on('message', (request: IndexRequest) => {
  heard++;
  try {
    handle(request);
  } catch (error) {
    if (error instanceof NoIndexError) say({ is: 'unusable', why: error.message });
    if ('id' in request) say({ is: 'failed', id: request.id, message: (error as Error).message });
    else say({ is: 'warn', message: `The search index: ${(error as Error).message}` });
  }
  if (!isClosing) void work();
});

function handle(request: IndexRequest): void {
  switch (request.is) {
    case 'touched':
      for (const place of request.places) know(place);
      return;
    case 'query':
      say({ is: 'answer', id: request.id, answer: mended(() => search(request)) });
      return;
    case 'forget': {
      const { session } = request;
      for (const [key, place] of known) {
        if (place.session !== session) continue;
        for (const map of [known, waiting, running, cooling]) map.delete(key);
      }
      mended(() => opened().forgetSession(session));
      say({ is: 'done', id: request.id });
      return;
    }
    case 'close':
      isClosing = true;
      running.clear();
      store?.close();
      parentPort!.close();
      return;
    default: {
      const never: never = request;
      throw new Error(`What is ${JSON.stringify(never)}?`);
    }
  }
}

/** What is behind, a piece of each pane in turn. */
async function work(): Promise<void> {
  if (isWorking) return;
  isWorking = true;
  while (!isClosing) {
    const key = (running.size < TOGETHER ? due() : null) ?? [...running.keys()][0];
    if (key === undefined) break;
    const began = performance.now();
    try {
      mended(() => step(key));
    } catch (error) {
      for (const map of [running, waiting]) map.delete(key);
      cooling.set(key, performance.now() + AFTER_ERROR_MS);
      if (error instanceof NoIndexError) say({ is: 'unusable', why: error.message });
      else say({ is: 'warn', message: `The search index, at "${known.get(key)?.folder}": ${(error as Error).message}` });
    }
    await pause((performance.now() - began) * REST);
  }
  isWorking = false;
  if (isClosing) return;
  const next = Math.min(...waiting.values());
  if (next === Number.POSITIVE_INFINITY) say({ is: 'idle', heard });
  else setTimeout(() => void work(), Math.max(1, next - performance.now())).unref();
}

function due(): string | null {
  const now = performance.now();
  for (const [key, at] of waiting) {
    if (at > now) continue;
    waiting.delete(key);
    return key;
  }
  return null;
}

/** One step of a pane's reading. True when that was the last. */
function step(key: string): boolean {
  const place = known.get(key);
  if (!place) return true;
  const began = performance.now();
  const job = running.get(key) ?? { steps: indexPane(opened(), place), tookMs: 0 };
  running.delete(key);
  const isDone = job.steps.next().done === true;
  job.tookMs += performance.now() - began;
  if (isDone) cooling.set(key, performance.now() + job.tookMs * AGAIN);
  // At the end: the others have their turn first.
  else running.set(key, job);
  return isDone;
}

function know(place: IndexPlace): void {
  const key = keyOf(place);
  known.set(key, place);
  waiting.set(key, cooling.get(key) ?? 0);
}

function search({ query, places, waitMs, limitMs }: IndexQuery): IndexAnswer {
  const index = opened();
  const began = performance.now();
  const behind = places.filter((place) => !catchUp(index, place, began + waitMs));
  forgetRemoved(index, query.session === undefined ? places : null);

  const limit = query.limit;
  const since = query.since ?? Number.MIN_SAFE_INTEGER;
  const matches = matcherOf(query);
  const newest = new Newest(limit + 1);
  const panes = new Map(
    places.flatMap((place) => {
      const state = index.find(place);
      const journal: JournalPlace = { folder: place.folder, purpose: place.purpose, vault: null };
      return state ? [[state.id, { place, journal, tail: state.tail }] as const] : [];
    }),
  );
  let looked = 0;
  let isInTime = true;
  for (const { id, pane, newest: at } of index.candidates(gramQuery(query.pattern), since)) {
    // They come from the newest on.
    if (!newest.wants(at)) break;
    const found = panes.get(pane);
    if (!found) continue;
    isInTime = looked++ % LOOK_EVERY !== 0 || performance.now() - began < limitMs;
    if (!isInTime) break;
    const block = index.block(id)!;
    for (const line of linesOfBlock(found.journal, { ...block, isTail: id === found.tail })) {
      if (line.at < since || !newest.wants(line.at)) continue;
      const index = matches(line.text);
      if (index !== -1) newest.add(found.place, line, index);
    }
  }
  const upTo = behind.length === 0 ? null : Math.min(...behind.map((place) => index.find(place)?.upto ?? 0));
  return { ...answerOf(newest.matches, limit), upTo, behind: behind.length, isInTime };
}

/** True when everything that was there at the call is in the index. */
function catchUp(index: IndexStore, place: SearchPlace, deadline: number): boolean {
  const key = keyOf(place);
  known.set(key, place);
  // One that is under way may have begun before the last output.
  for (let tries = 0; tries < 2; tries++) {
    if (!running.has(key) && !isBehind(index, place)) return true;
    for (;;) {
      if (performance.now() > deadline) {
        if (!waiting.has(key)) waiting.set(key, 0);
        return false;
      }
      if (step(key)) break;
    }
  }
  // More came meanwhile.
  return true;
}

/** Sessions of which nobody told that they were removed. */
function forgetRemoved(index: IndexStore, places: readonly SearchPlace[] | null): void {
  if (places === null) return;
  const named = new Set(places.map(keyOf));
  index.forget(index.panes.filter((pane) => !named.has(keyOf(pane)) && !existsSync(pane.folder)).map(({ id }) => id));
}

/** Does it, and when the file turns out to be damaged, does it with a new one. */
function mended<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isIndexDamage(error)) throw error;
    running.clear();
    cooling.clear();
    store?.close();
    store = null;
    setAside(file, error as Error, warn);
    for (const key of known.keys()) waiting.set(key, 0);
    return work();
  }
}

function opened(): IndexStore {
  store ??= new IndexStore(openIndex(file, warn, drivers));
  return store;
}

function keyOf({ session, pane }: { session: string; pane: string }): string {
  return `${session} ${pane}`;
}

function warn(message: string): void {
  say({ is: 'warn', message });
}

function say(message: IndexMessage): void {
  parentPort!.postMessage(message);
}

function pause(ms: number): Promise<void> {
  // The port keeps the thread alive, until it is closed.
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
