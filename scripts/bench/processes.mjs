/** What a process has used of the processor. */
import { readFileSync, readdirSync } from 'node:fs';

/** Milliseconds of all its threads together; null where the system does not say (anything but Linux). */
export function processorTime(pid) {
  try {
    let nanoseconds = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += Number(threadTime(pid, thread));
    }
    return nanoseconds / 1e6;
  } catch {
    return null;
  }
}

function threadTime(pid, thread) {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0];
  } catch {
    // It ended between the two calls.
    return 0;
  }
}

/** Bytes of memory that a process had at its most; null where the system does not say. */
export function peakMemory(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return 1024 * Number(status.match(/VmHWM:\s+(\d+)/)[1]);
  } catch {
    return null;
  }
}
