/** The page's end of the service worker: starts it once the page can work, and tells of a newer version without ever reloading by itself. */
import { Workbox, messageSW } from 'workbox-window';
import { COMPLETE } from './messages.ts';

export interface OfflineNews {
  /** All that a visit without network needs is kept. */
  kept(): void;
  /** A newer version is there; `take` switches to it, which loads the page again. */
  newer(take: () => void): void;
}

/** Pauses before the worker is asked whether all is kept: the engine may still be on its way to the disk. */
const ASK_AFTER_MS = [0, 2000, 10_000];
/** How long an open page waits before it looks for a newer version again. */
const LOOK_AGAIN_MS = 60 * 60 * 1000;

/** Does nothing where there are no service workers: on plain http, or where they are switched off. */
export async function workOffline(news: OfflineNews): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  const workbox = new Workbox(new URL('./sw.js', document.baseURI).href, {
    updateViaCache: 'none',
  });
  let taken = false;
  workbox.addEventListener('waiting', () => {
    news.newer(() => {
      taken = true;
      workbox.messageSkipWaiting();
    });
  });
  workbox.addEventListener('controlling', (event) => {
    if (taken) location.reload();
    // Another tab took the newer version; what is open here goes on until its visitor says so.
    else if (event.isUpdate || event.isExternal) news.newer(() => location.reload());
  });
  // Refused without network, with the worker of an earlier visit at work, and where the host serves no such file or the
  // browser keeps nothing here: the page works all the same.
  await workbox.register({ immediate: true }).catch(() => {});
  lookAgain(workbox);
  const { active } = await navigator.serviceWorker.ready;
  for (const pause of ASK_AFTER_MS) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (active && (await messageSW(active, { type: COMPLETE })) === true) return news.kept();
  }
}

function lookAgain(workbox: Workbox): void {
  let last = Date.now();
  document.addEventListener('visibilitychange', () => {
    if (document.hidden || Date.now() - last < LOOK_AGAIN_MS) return;
    last = Date.now();
    void workbox.update().catch(() => {});
  });
}
