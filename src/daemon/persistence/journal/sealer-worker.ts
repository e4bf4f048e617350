import { parentPort, workerData } from 'node:worker_threads';
import { vaultFrom } from '../vault/vault.ts';
import { bestCodec } from './codec.ts';
import { type ResealJob, resealSegments } from './reseal.ts';
import { type SealJob, sealTails } from './seal.ts';
import type { SealerAnswer, SealerWorkerData } from './sealer.ts';

const { level, secrets } = workerData as SealerWorkerData;
const tools = { codec: bestCodec(level), vault: secrets && vaultFrom(secrets) };

parentPort!.on('message', (job: SealJob | ResealJob) => {
  let error: string | null = null;
  let left = 0;
  try {
    if ('reseal' in job) left = resealSegments(job, tools);
    else sealTails(job, tools);
  } catch (failure) {
    error = (failure as Error).message;
  }
  parentPort!.postMessage({ error, left } satisfies SealerAnswer);
});
