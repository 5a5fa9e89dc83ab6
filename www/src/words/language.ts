/**
 * The page's language: English, or another one by a catalogue. Views write English; whatever they write is shown in the language
 * that the visitor chose, as it comes into the page. The engine's own sentences stay English and are marked so.
 */
import { Words } from './catalogue.ts';
import { german } from './german.ts';

const KEY = 'gradlens.language';
const ATTRIBUTES = ['aria-label', 'placeholder', 'title', 'alt'];
/** Where the engine and its models speak. */
const ENGINE = [
  'method-about',
  'layer-reason',
  'problem-list',
  'sources',
  'settings-reasons',
  'empty',
  'warning',
  'findings',
];
/** Names and texts that are nobody's to translate. */
const KEPT = 'script, style, textarea, code, [translate="no"], [lang]:not(html)';

const catalogues: Record<string, Words> = { de: new Words(german, 'de') };
/** What was English in the place of what is shown. */
const texts = new WeakMap<Text, string>();
const attributes = new WeakMap<Element, Map<string, string>>();

const observer = new MutationObserver((records) => {
  for (const { type, target, addedNodes, attributeName } of records) {
    if (type === 'characterData') show(target as Text);
    else if (type === 'attributes' && attributeName)
      showAttribute(target as Element, attributeName);
    else for (const node of addedNodes) showAll(node);
  }
});

let words: Words | null = null;

/** The language that the visitor chose, or else the browser's first that there is. */
export function language(): string {
  try {
    const chosen = localStorage.getItem(KEY);
    if (chosen !== null) return chosen;
  } catch {
    // Nothing is kept here.
  }
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2));
  return wanted.find((tag) => tag === 'en' || tag in catalogues) ?? 'en';
}

/** Shows the page in a language from now on; `keep` remembers it in this browser. */
export function speak(tag: string, keep: boolean): void {
  if (keep) {
    try {
      localStorage.setItem(KEY, tag);
    } catch {
      // It holds for this visit.
    }
  }
  const before = words;
  words = catalogues[tag] ?? null;
  document.documentElement.lang = words ? tag : 'en';
  for (const id of ENGINE) {
    const element = document.getElementById(id);
    if (words) element?.setAttribute('lang', 'en');
    else element?.removeAttribute('lang');
  }
  if (!words && !before) return;
  showAll(document.body);
  observer.disconnect();
  if (!words) return;
  observer.observe(document.body, {
    subtree: true,
    childList: true,
    characterData: true,
    attributeFilter: ATTRIBUTES,
  });
}

/** The English text that an element was given, whatever it shows. */
export function english(element: Element): string | null {
  const [node, more] = element.childNodes;
  return !more && node instanceof Text && isShown(node)
    ? (texts.get(node) ?? null)
    : element.textContent;
}

function showAll(node: Node): void {
  if (node instanceof Text) return show(node);
  if (!(node instanceof Element) || node.closest(KEPT)) return;
  for (const name of ATTRIBUTES) if (node.hasAttribute(name)) showAttribute(node, name);
  for (const child of node.childNodes) showAll(child);
}

function show(node: Text): void {
  if (node.parentElement?.closest(KEPT)) return;
  if (!isShown(node)) texts.set(node, node.data);
  const source = texts.get(node) ?? '';
  const wanted = words?.translate(source) ?? source;
  if (node.data !== wanted) node.data = wanted;
  shown.set(node, wanted);
}

/** What was put into a text by this module; anything else was written by a view since. */
const shown = new WeakMap<Text, string>();

function isShown(node: Text): boolean {
  return shown.get(node) === node.data && texts.has(node);
}

function showAttribute(element: Element, name: string): void {
  if (element.closest(KEPT)) return;
  const value = element.getAttribute(name);
  if (value === null) return;
  const sources = attributes.get(element) ?? new Map<string, string>();
  attributes.set(element, sources);
  const source = sources.get(name);
  const isOurs = source !== undefined && sources.get(`${name} shown`) === value;
  const from = isOurs ? source : value;
  const wanted = words?.translate(from) ?? from;
  sources.set(name, from).set(`${name} shown`, wanted);
  if (value !== wanted) element.setAttribute(name, wanted);
}
