/**
 * What the conversations of the recall benchmark are about: things, what is said of them, and the talk around it. Each
 * thing and each statement has a second wording that shares no content word with the first.
 */

/** A thing, and how somebody calls it who does not use the word. */
export const THINGS: readonly (readonly [word: string, other: string])[] = [
  ['bicycle', 'two-wheeler'],
  ['couch', 'sofa'],
  ['laptop', 'portable computer'],
  ['cat', 'feline'],
  ['dog', 'hound'],
  ['car', 'automobile'],
  ['jacket', 'coat'],
  ['phone', 'mobile handset'],
  ['boat', 'small vessel'],
  ['guitar', 'stringed instrument'],
  ['camera', 'device that takes pictures'],
  ['fridge', 'cooling cupboard'],
  ['oven', 'baking appliance'],
  ['lamp', 'light source'],
  ['carpet', 'rug'],
  ['mirror', 'looking glass'],
  ['watch', 'wrist timepiece'],
  ['suitcase', 'travel luggage'],
  ['tent', 'camping shelter'],
  ['ladder', 'climbing steps'],
  ['hammer', 'mallet'],
  ['scissors', 'shears'],
  ['pen', 'ink writer'],
  ['diary', 'private journal'],
  ['umbrella', 'rain shield'],
  ['kettle', 'water boiler'],
  ['broom', 'sweeper'],
  ['bucket', 'pail'],
  ['pillow', 'head cushion'],
  ['blanket', 'bed cover'],
  ['television', 'flat screen'],
  ['radio', 'wireless receiver'],
  ['piano', 'grand keyboard'],
  ['violin', 'fiddle'],
  ['drum', 'percussion kit'],
  ['helmet', 'head protection'],
  ['boots', 'footwear'],
  ['gloves', 'mittens'],
  ['necklace', 'neck jewellery'],
  ['wallet', 'purse'],
  ['printer', 'paper machine'],
  ['router', 'network box'],
  ['telescope', 'star viewer'],
  ['microscope', 'lens for tiny samples'],
  ['sled', 'toboggan'],
  ['canoe', 'paddle craft'],
  ['motorbike', 'scooter'],
  ['caravan', 'trailer for holidays'],
  ['fountain', 'water feature'],
  ['greenhouse', 'glass hut'],
  ['fence', 'wooden barrier'],
  ['parrot', 'speaking bird'],
  ['rabbit', 'bunny'],
  ['horse', 'pony'],
  ['aquarium', 'fish tank'],
  ['desk', 'work table'],
  ['wardrobe', 'clothes closet'],
  ['chimney', 'smoke shaft'],
  ['drone', 'flying robot'],
  ['lawnmower', 'grass cutter'],
]

const NAMES =
  'Marta Jonas Priya Diego Aiko Femi Lena Oskar Ruth Tomas Yara Nils Ines Boris Clara Emil Greta Hugo'.split(' ')
const CITIES = 'Lisbon Tallinn Graz Bergen Porto Ghent Turin Malmö Leeds Brno Cork Basel Split Gdansk'.split(' ')
const COLOURS = 'turquoise crimson ivory mustard lilac olive coral indigo maroon beige'.split(' ')
const NUMBERS = Array.from({ length: 90 }, (_, n) => String(13 + n * 7))
const YEARS = Array.from({ length: 25 }, (_, n) => String(1996 + n))
const MATERIALS = 'walnut aluminium bamboo linen porcelain copper rubber granite felt cedar'.split(' ')
const FIRMS = 'Solvik Brantner Okano Delmare Ruppel Tavira Hesk Quintal Norby Zellin'.split(' ')
const MONTHS = 'January February March April June July August September October November'.split(' ')
const DAYS = 'Monday Tuesday Wednesday Thursday Friday Saturday Sunday'.split(' ')
const PLACES = 'cellar attic hallway study pantry balcony conservatory garage'.split(' ')
const PARTS = 'hinge handle strap switch corner zipper screw cable lid spring'.split(' ')
const AIMS = 'commuting teaching weekends concerts relaxing fieldwork parties sketching'.split(' ')
const RELATIVES = 'grandfather aunt uncle cousin stepbrother godmother'.split(' ')
const LANGUAGES = 'Finnish Korean Dutch Catalan Polish Greek Hungarian'.split(' ')

export interface Attribute {
  readonly values: readonly string[]
  /** Said by the user; `thing` and `value` stand in it. */
  readonly says: (thing: string, value: string) => string
  /** Said of somebody else: the same words, no evidence. */
  readonly saysOfOthers: (who: string, thing: string, value: string) => string
  readonly asks: (thing: string) => string
  /** Asks the same with none of the words. */
  readonly asksOtherwise: (thing: string) => string
}

const attribute = (
  values: readonly string[],
  says: Attribute['says'],
  saysOfOthers: Attribute['saysOfOthers'],
  asks: Attribute['asks'],
  asksOtherwise: Attribute['asksOtherwise'],
): Attribute => ({ values, says, saysOfOthers, asks, asksOtherwise })

export const ATTRIBUTES: readonly Attribute[] = [
  attribute(
    COLOURS,
    (t, v) => `I have painted my ${t} ${v}`,
    (w, t, v) => `${w} painted a ${t} ${v}`,
    (t) => `What did I paint my ${t}?`,
    (t) => `What shade does the ${t} have?`,
  ),
  attribute(
    CITIES,
    (t, v) => `I bought my ${t} in ${v}`,
    (w, t, v) => `${w} bought a ${t} in ${v}`,
    (t) => `Where was my ${t} bought?`,
    (t) => `From which town did I get the ${t}?`,
  ),
  attribute(
    NUMBERS,
    (t, v) => `my ${t} cost ${v} euros`,
    (w, t, v) => `the ${t} of ${w} cost ${v} euros`,
    (t) => `How many euros did my ${t} cost?`,
    (t) => `What price was paid for the ${t}?`,
  ),
  attribute(
    NAMES,
    (t, v) => `at home we call my ${t} ${v}`,
    (w, t, v) => `${w} calls a ${t} ${v}`,
    (t) => `What do we call my ${t} at home?`,
    (t) => `Which nickname has the ${t}?`,
  ),
  attribute(
    NAMES,
    (t, v) => `${v} repaired my ${t}`,
    (w, t, v) => `${v} repaired the ${t} of ${w}`,
    (t) => `Who is repairing my ${t}?`,
    (t) => `Which person fixed the ${t}?`,
  ),
  attribute(
    NAMES,
    (t, v) => `my ${t} was a present from ${v}`,
    (w, t, v) => `${w} got a ${t} as a present from ${v}`,
    (t) => `Whose present was my ${t}?`,
    (t) => `Who gave me the ${t}?`,
  ),
  attribute(
    PLACES,
    (t, v) => `my ${t} stands in the ${v}`,
    (w, t, v) => `the ${t} of ${w} stands in the ${v}`,
    (t) => `Where is my ${t} standing?`,
    (t) => `In which room do I keep the ${t}?`,
  ),
  attribute(
    MATERIALS,
    (t, v) => `my ${t} is made of ${v}`,
    (w, t, v) => `${w} has a ${t} made of ${v}`,
    (t) => `What is my ${t} made of?`,
    (t) => `Which material is the ${t}?`,
  ),
  attribute(
    FIRMS,
    (t, v) => `the firm ${v} manufactured my ${t}`,
    (w, t, v) => `the firm ${v} manufactured a ${t} for ${w}`,
    (t) => `Which firm manufactures my ${t}?`,
    (t) => `Who is the producer of the ${t}?`,
  ),
  attribute(
    NAMES,
    (t, v) => `I lent my ${t} to ${v}`,
    (w, t, v) => `${w} lent a ${t} to ${v}`,
    (t) => `To whom have I lent my ${t}?`,
    (t) => `Which friend borrowed the ${t}?`,
  ),
  attribute(
    YEARS,
    (t, v) => `I have owned my ${t} since ${v}`,
    (w, t, v) => `${w} has owned a ${t} since ${v}`,
    (t) => `Since when do I own my ${t}?`,
    (t) => `In which year did I acquire the ${t}?`,
  ),
  attribute(
    NUMBERS,
    (t, v) => `my ${t} weighs ${v} pounds`,
    (w, t, v) => `the ${t} of ${w} weighs ${v} pounds`,
    (t) => `How many pounds does my ${t} weigh?`,
    (t) => `How heavy is the ${t}?`,
  ),
  attribute(
    PARTS,
    (t, v) => `on my ${t} the ${v} broke off`,
    (w, t, v) => `on the ${t} of ${w} the ${v} broke off`,
    (t) => `What broke off on my ${t}?`,
    (t) => `Which piece is damaged at the ${t}?`,
  ),
  attribute(
    FIRMS,
    (t, v) => `${v} insures my ${t}`,
    (w, t, v) => `${v} insures the ${t} of ${w}`,
    (t) => `With whom is my ${t} insured?`,
    (t) => `Which company has the policy for the ${t}?`,
  ),
  attribute(
    MONTHS,
    (t, v) => `I plan to sell my ${t} in ${v}`,
    (w, t, v) => `${w} plans to sell a ${t} in ${v}`,
    (t) => `When am I planning on selling my ${t}?`,
    (t) => `At what time of the year shall the ${t} find a buyer?`,
  ),
  attribute(
    NUMBERS,
    (t, v) => `the serial number of my ${t} ends with ${v}`,
    (w, t, v) => `the serial number of the ${t} of ${w} ends with ${v}`,
    (t) => `With what does the serial number of my ${t} end?`,
    (t) => `Which digits identify the ${t}?`,
  ),
  attribute(
    DAYS,
    (t, v) => `I clean my ${t} every ${v}`,
    (w, t, v) => `${w} cleans a ${t} every ${v}`,
    (t) => `When am I cleaning my ${t}?`,
    (t) => `What weekday do I wash the ${t}?`,
  ),
  attribute(
    AIMS,
    (t, v) => `I use my ${t} mostly for ${v}`,
    (w, t, v) => `${w} uses a ${t} mostly for ${v}`,
    (t) => `What am I mostly using my ${t} for?`,
    (t) => `Which purpose does the ${t} serve?`,
  ),
  attribute(
    RELATIVES,
    (t, v) => `my ${v} built my ${t}`,
    (w, t, v) => `the ${v} of ${w} built a ${t}`,
    (t) => `Who was it that built my ${t}?`,
    (t) => `Which family member constructed the ${t}?`,
  ),
  attribute(
    LANGUAGES,
    (t, v) => `the manual of my ${t} is in ${v}`,
    (w, t, v) => `the manual for the ${t} of ${w} is in ${v}`,
    (t) => `What language is the manual of my ${t} in?`,
    (t) => `How are the instructions that came along with the ${t} written?`,
  ),
]

/** Talk before and after what is said; its words are in many conversations. */
export const OPENERS: readonly string[] = [
  'By the way,',
  'Before I forget it,',
  'I should mention that',
  'That reminds me:',
  'As you may remember,',
  'Since we talk about the weekend,',
  'Just for your information,',
  'Something else entirely:',
  'While I was waiting for the train I thought of it,',
  'My colleague laughed when I told this,',
  'It is not important for the report, but',
  'Yesterday evening somebody asked me about it, so:',
]

export const CLOSERS: readonly string[] = [
  'Anyway, could you help me with the email to the landlord?',
  'Now back to the recipe, please.',
  'What would you suggest for dinner tonight?',
  'So, where were we with the spreadsheet?',
  'Please be brief in your answer.',
  'I have to leave for the station in ten minutes.',
  'Can you also check the weather for tomorrow?',
  'Let us go on with the translation of the letter.',
  'Thanks, that is all I wanted to say about it.',
  'Do you think the meeting can be moved to another week?',
]

export const CHATTER: readonly string[] = [
  'Please rewrite this paragraph so that it sounds friendlier to the customers.',
  'How do I sort a list of objects by two fields in TypeScript?',
  'What is a good way to begin a talk about renewable energy?',
  'The deployment failed again with a timeout; the logs say nothing useful.',
  'Could you summarise the minutes of the meeting in five points?',
  'I need a plan for a week of vegetarian meals that children like.',
  'Which exercises help against pain in the lower back?',
  'Explain the difference between a mutex and a semaphore once more.',
  'My flight was cancelled and I want to write a complaint to the airline.',
  'Give me three names for a bakery that opens early.',
  'What should I consider before I sign the contract for the flat?',
  'The tests pass on my machine and fail in the pipeline.',
]

export const ANSWERS: readonly string[] = [
  'Of course. Here is a shorter version that keeps the main point and ends with a question.',
  'You can compare the first field and fall back to the second one when both are equal.',
  'Start with a number that surprises the audience, then say where it comes from.',
  'I would raise the limit first and look at the slow query after that.',
  'Certainly: the budget was agreed, the date is open, and two people will prepare the room.',
  'Try soup on Monday, pancakes on Tuesday and a bake with potatoes in the middle of the week.',
  'Gentle stretching in the morning and short walks help most people.',
  'One protects a section for a single owner, the other counts how many may enter.',
]

/** An answer that takes up what was said, with its words. */
export const ECHOES: readonly ((thing: string) => string)[] = [
  (t) => `Thanks for telling me about the ${t}. I will keep it in mind for our next conversations.`,
  (t) => `A good ${t} is worth some care. Shall I look up how others look after theirs?`,
  (t) => `Noted. If you ever want advice on a ${t}, I am happy to help with that as well.`,
]

export const OTHERS: readonly string[] = [
  'my neighbour',
  'our teacher',
  'a friend',
  'the landlord',
  'my boss',
  'a guest',
]
