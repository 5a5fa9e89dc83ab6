/** The switch between languages. */
import { language, speak } from '../words/language.ts';
import { need } from './dom.ts';

export function offerLanguages(): void {
  const select = need('language', HTMLSelectElement);
  select.value = language();
  speak(select.value, false);
  select.addEventListener('change', () => speak(select.value, true));
}
