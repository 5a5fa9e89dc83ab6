/** A key of this browser, made by WebCrypto and never shown, that signs reports: who has its public half can tell whether one was changed. */

export interface Signature {
  algorithm: 'Ed25519';
  /** The public key, 32 bytes in base64. */
  key: string;
  value: string;
}

const DATABASE = 'gradlens';
const STORE = 'keys';
const NAME = 'reports';

/** The public half of this browser's key in base64; the key is made where there is none yet. */
export async function publicKey(): Promise<string> {
  const { publicKey } = await pair();
  return base64(await crypto.subtle.exportKey('raw', publicKey));
}

export async function sign(bytes: Uint8Array<ArrayBuffer>): Promise<Signature> {
  const { privateKey } = await pair();
  const value = base64(await crypto.subtle.sign('Ed25519', privateKey, bytes));
  return { algorithm: 'Ed25519', key: await publicKey(), value };
}

async function pair(): Promise<CryptoKeyPair> {
  const database = await opened();
  try {
    const kept = await request<CryptoKeyPair | undefined>(store(database, 'readonly').get(NAME));
    if (kept) return kept;
    const made = (await crypto.subtle.generateKey('Ed25519', false, [
      'sign',
      'verify',
    ])) as CryptoKeyPair;
    await request(store(database, 'readwrite').put(made, NAME));
    return made;
  } finally {
    database.close();
  }
}

function opened(): Promise<IDBDatabase> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore(STORE));
  return request(opening);
}

function store(database: IDBDatabase, mode: IDBTransactionMode): IDBObjectStore {
  return database.transaction(STORE, mode).objectStore(STORE);
}

function request<T>(asked: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    asked.addEventListener('success', () => resolve(asked.result));
    asked.addEventListener('error', () => reject(asked.error ?? new Error('the browser refused')));
  });
}

function base64(bytes: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)));
}
