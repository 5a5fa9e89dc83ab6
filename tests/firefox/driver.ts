/** Firefox over the WebDriver protocol, which is what Debian's build of it speaks: https://www.w3.org/TR/webdriver2/. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** How the protocol marks the reference to an element. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

type Element = Record<typeof ELEMENT, string>;

export class Firefox {
  readonly #driver: ChildProcess;
  readonly #address: string;
  #session = '';

  private constructor(driver: ChildProcess, address: string) {
    this.#driver = driver;
    this.#address = address;
  }

  /** Starts a headless Firefox that saves what is downloaded into a folder. GECKODRIVER and FIREFOX name other files. */
  static async start(downloads: string): Promise<Firefox> {
    const driver = spawn(process.env['GECKODRIVER'] ?? 'geckodriver', ['--port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const firefox = new Firefox(driver, await listening(driver));
    const capabilities = {
      alwaysMatch: {
        'moz:firefoxOptions': {
          binary: process.env['FIREFOX'] ?? '/usr/bin/firefox-esr',
          args: ['-headless'],
          prefs: {
            'browser.download.folderList': 2,
            'browser.download.dir': downloads,
            'browser.download.useDownloadDir': true,
          },
        },
      },
    };
    const { sessionId } = await firefox.#call<{ sessionId: string }>('POST', '/session', {
      capabilities,
    });
    firefox.#session = `/session/${sessionId}`;
    await firefox.#call('POST', '/timeouts', { script: 60_000 });
    return firefox;
  }

  async stop(): Promise<void> {
    try {
      await this.#call('DELETE', '');
    } finally {
      this.#driver.kill();
      await once(this.#driver, 'exit');
    }
  }

  async go(url: string): Promise<void> {
    await this.#call('POST', '/url', { url });
  }

  /** Runs the body of an async function in the page; what it returns, awaited. */
  run<T>(script: string, ...args: unknown[]): Promise<T> {
    const awaited = `return (async function () { ${script} }).apply(null, arguments)`;
    return this.#call<T>('POST', '/execute/sync', { script: awaited, args });
  }

  async click(selector: string): Promise<void> {
    const element = await this.#find(selector);
    await this.#call('POST', `/element/${element[ELEMENT]}/click`, {});
  }

  /** Types; in a file input, the paths of files. */
  async type(selector: string, text: string): Promise<void> {
    const element = await this.#find(selector);
    await this.#call('POST', `/element/${element[ELEMENT]}/value`, { text });
  }

  async screenshot(): Promise<Buffer> {
    return Buffer.from(await this.#call<string>('GET', '/screenshot'), 'base64');
  }

  #find(selector: string): Promise<Element> {
    return this.#call<Element>('POST', '/element', { using: 'css selector', value: selector });
  }

  async #call<T>(method: string, command: string, body?: unknown): Promise<T> {
    const response = await fetch(this.#address + this.#session + command, {
      method,
      headers: { 'Content-Type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const { value } = (await response.json()) as { value: T & { error: string; message: string } };
    if (!response.ok) throw new Error(`${command}: ${value.error}: ${value.message}`);
    return value;
  }
}

/** The address that geckodriver says it listens at. */
async function listening(driver: ChildProcess): Promise<string> {
  if (!driver.stdout) throw new Error('geckodriver has no output');
  driver.on('error', () => {});
  for await (const line of createInterface({ input: driver.stdout })) {
    const port = line.match(/Listening on [\d.]+:(\d+)/)?.[1];
    if (port) {
      // Nobody reads what else it says, and a full pipe would stop it.
      driver.stdout.resume();
      return `http://127.0.0.1:${port}`;
    }
  }
  throw new Error('geckodriver did not start: is it installed? (cargo install geckodriver)');
}
