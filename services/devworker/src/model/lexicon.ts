/** The words that the language model knows. Plain English, so that answers read like sentences. */

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

export const NOUNS = words(`
  river garden window letter market teacher engine bridge kitchen forest village harbour museum library station
  mountain morning evening winter summer journey question answer picture story machine model worker router token
  request response schema key ledger account budget limit queue cache stream server client network signal metric
  painter doctor farmer sailor baker writer singer student neighbour friend captain driver pilot engineer designer
  bread coffee apple orange cheese butter honey lemon pepper basket bottle candle ladder hammer pencil paper
  table chair lamp mirror carpet ceiling door roof wall fence path road street corner square tower castle
  cloud storm rain snow wind sunlight shadow star moon ocean island beach valley field meadow lake pond
  horse dog cat bird rabbit fox wolf bear fish bee spider turtle owl
  plan idea reason example result number report summary detail lesson rule habit choice moment
`);

export const PLURALS = words(`
  rivers gardens letters markets teachers engines bridges villages stories machines workers tokens requests answers
  students neighbours friends captains drivers engineers apples candles ladders pencils mirrors streets towers clouds
  storms islands valleys fields horses birds bees ideas reasons examples results numbers reports details rules choices
`);

export const ADJECTIVES = words(`
  small large quiet bright old new green blue golden heavy light warm cold early late simple careful patient
  clever honest gentle brave busy calm clear deep dry empty famous fresh full happy hungry important kind
  little long lucky narrow open plain polite proud quick rare ready rich round safe sharp short silent slow smooth
  soft steady strong sweet tall thin tidy useful wide wise wooden young
`);

export const VERBS = words(`
  carries follows finds builds opens closes paints reads writes watches keeps holds moves turns brings sends checks
  counts measures explains describes remembers changes joins leaves meets helps teaches learns shows hides lifts
  cleans repairs prepares serves shares saves collects compares connects covers divides fills guards improves
`);

export const INTRANSITIVE = words(`
  waits sleeps arrives rests works listens grows stands smiles travels returns begins ends continues shines
`);

export const ADVERBS = words(`
  slowly quickly quietly often always usually carefully gladly gently early together again today sometimes rarely
`);

export const PLACES = words(`
  market harbour station library garden village river bridge museum forest kitchen valley square tower lake
`);

export const NAMES = words(`
  Anna Ben Clara David Emma Felix Grace Henry Iris Jonas Kate Leo Maria Noah Olivia Peter Rosa Simon Tara Victor
`);

export const CITIES = words(`
  Lisbon Oslo Vienna Prague Dublin Athens Bergen Geneva Hamburg Kyoto Lima Madrid Nairobi Porto Quito Rome Seville
  Turin Utrecht Zurich
`);

export const CONNECTIVES = ['However, ', 'After that, ', 'In the end, ', 'For example, ', 'At first, ', 'In short, '];

/** Keys of free-form JSON objects. */
export const FREE_KEYS = words(`
  remark detail origin flavour mood season weather quantity colour shape material topic comment extra_note sample
`);
