import { nearest } from '../../base/nearest.ts';
import { CALLS, type CallName } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import type { Caller, Handlers } from '../subsystem.ts';

/** Answers one call: throws WireError for what the caller may expect, and anything else is a bug. */
export type Dispatch = (method: string, params: unknown, caller: Caller) => Promise<unknown>;

/** The one place where a call's name becomes a function and its params are checked. */
export function dispatcher(handlers: Handlers): Dispatch {
  return async (method, params, caller) => {
    if (!Object.hasOwn(CALLS, method)) {
      const near = nearest(method, Object.keys(CALLS));
      throw new WireError('unknown-call', `There is no call "${method.slice(0, 60)}".${near ? ` Did you mean "${near}"?` : ''}`);
    }
    const name = method as CallName;
    const checked = CALLS[name].params.safeParse(params ?? {});
    if (!checked.success) {
      const { path, message } = checked.error.issues[0]!;
      throw new WireError('bad-params', `${method}: ${path.length > 0 ? `${path.map(String).join('.').slice(0, 100)}: ` : ''}${message}.`, {
        path: path.map(String),
      });
    }
    return await (handlers[name] as (params: unknown, caller: Caller) => unknown)(checked.data, caller);
  };
}
