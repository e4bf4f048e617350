import { nearest } from '../../base/nearest.ts';
import { WireError } from '../../wire/errors.ts';

/** A disk that is full, read-only or gone is something that the caller can do something about; other errors are bugs, and stay what they are. */
export function asRefusal(error: unknown): unknown {
  const { code, path, message } = error as NodeJS.ErrnoException;
  const isDisk =
    typeof path === 'string' &&
    ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EIO', 'ENOENT', 'EISDIR', 'ENOTDIR', 'ENOTEMPTY', 'EMFILE', 'ENFILE'].includes(
      code ?? '',
    );
  return isDisk
    ? new WireError('spawn-failed', `Cannot write "${path}": ${message.split(',')[0]}. Nothing was changed.`, { errno: code })
    : error;
}

/** This daemon ends: `isReplaced` tells whether there will be another one to ask. */
export function leaving(isReplaced: boolean): WireError {
  return new WireError('busy', 'The daemon is stopping.', { isReplaced });
}

/** Nobody of that name; says who was probably meant. */
export function notFound(target: string, names: readonly string[]): WireError {
  const near = nearest(target, names);
  const elsewhere = names.length === 0 ? 'There are no sessions. Start one with: ai-session new' : 'List them with: ai-session ls';
  const session = target.slice(0, 100);
  return new WireError('not-found', `No session named ${JSON.stringify(session)}. ${near ? `Did you mean "${near}"?` : elsewhere}`, {
    session,
    ...(near && { didYouMean: near }),
  });
}
