"""The words of generated instruct scenarios: tasks, constraints as users put them, and demands that clash with them.

Tables only.
"""

from collections.abc import Mapping
from dataclasses import dataclass

OBJECTIVES = (
    "Open the new visitor centre before the summer holidays",
    "Move the archive to the digital library",
    "Prepare the annual report for the partners",
    "Launch the city bicycle scheme in spring",
    "Organise the open day of the research campus",
    "Renew the handbook for new employees",
    "Bring the online shop to three more countries",
    "Win the regional prize for sustainable offices",
    "Set up the help desk for the new booking system",
    "Plan the anniversary of the company museum",
)


@dataclass(frozen=True, slots=True)
class Theme:
    """What can be asked for on subjects of one kind: any act goes with any subject."""

    acts: tuple[str, ...]
    subjects: tuple[str, ...]


THEMES = (
    Theme(
        acts=(
            "Explain {subject}",
            "Write a guide to {subject}",
            "Give advice on {subject}",
            "Describe common mistakes in {subject}",
            "Prepare a talk on {subject}",
            "Tell of a first attempt at {subject}",
            "Draft a leaflet about {subject}",
            "Pass on an old trick for {subject}",
        ),
        subjects=(
            "keeping house plants alive in winter",
            "baking bread at home",
            "tidying a shared kitchen",
            "buying a tram ticket from a machine",
            "sorting a cupboard full of old files",
            "getting ready for a first job interview",
            "packing glasses for the removal van",
            "growing tomatoes on a balcony",
            "repairing a flat bicycle tyre",
            "choosing a chair for the home office",
            "sharing a car on the daily way to work",
            "making backups in a small office",
            "learning a second language after forty",
            "brewing tea for forty guests",
            "reading a balance sheet",
            "hanging pictures in a straight line",
            "taking minutes in a noisy meeting",
            "sleeping on a night train",
            "cleaning the coffee machine on the third floor",
            "handing over work before a holiday",
            "folding a map in the wind",
            "feeding birds in a city garden",
            "drying laundry in a tiny flat",
            "remembering the names of new colleagues",
            "cooking soup from leftovers",
            "speaking in front of a full hall",
        ),
    ),
    Theme(
        acts=(
            "Describe {subject}",
            "Write a travel note about {subject}",
            "Tell a story that begins with {subject}",
            "Paint a picture in words of {subject}",
            "Outline a film about {subject}",
            "Write a diary entry about {subject}",
            "Tell a bedtime story about {subject}",
            "Recall a childhood memory of {subject}",
        ),
        subjects=(
            "a market in the early morning",
            "a lighthouse on a foggy night",
            "a rainy afternoon by the sea",
            "an orchestra that tunes its instruments",
            "a snail that wants to travel",
            "a bridge that nobody crosses any more",
            "a library just before closing time",
            "a beekeeper on the roof of a hotel",
            "a ferry that arrives late",
            "a bakery at four in the morning",
            "a railway station under heavy snow",
            "a museum guard on a quiet Monday",
            "a stray dog that joins a parade",
            "a village fair in late summer",
            "a greenhouse full of lemon trees",
            "a tailor who talks to moths",
            "a chess game in the park",
            "a power cut during dinner",
            "a clock that runs backwards",
            "a mountain hut after a storm",
            "a swimming pool in October",
            "a postman with a secret",
            "a choir that has lost its sheet music",
            "a restaurant on the moon",
            "a street musician and a banker",
            "a night bus full of nurses",
        ),
    ),
    Theme(
        acts=(
            "Announce {subject}",
            "Draft an invitation to {subject}",
            "Write a reminder of {subject}",
            "Write a speech for {subject}",
            "Suggest a programme for {subject}",
            "Draft a thank-you message after {subject}",
            "Report on {subject}",
            "Ask for helpers at {subject}",
        ),
        subjects=(
            "the charity run in May",
            "the annual board game evening",
            "the open house of our workshop",
            "the farewell party of a colleague",
            "the half-day outing of the team",
            "the fire drill on Thursday",
            "the blood donation in the lobby",
            "the swap of winter clothes",
            "the guided tour of the boiler room",
            "the lunch with our new apprentices",
            "the football match against the suppliers",
            "the planting of trees behind the depot",
            "the concert of the staff choir",
            "the reopening of the canteen",
            "the photo contest of the region",
            "the repair evening for broken toasters",
            "the first aid course in June",
            "the evening of local history",
            "the flea market in the garage",
            "the reading night at the town hall",
            "the bicycle check in the yard",
            "the round table with the neighbours",
            "the moving of the sales team",
            "the visit of our partners from Norway",
            "the anniversary of the print shop",
            "the cooking contest of the departments",
        ),
    ),
    Theme(
        acts=(
            "Write a product text for {subject}",
            "Review {subject}",
            "Write an obituary for {subject}",
            "Tell the story of {subject}",
            "Praise {subject}",
            "Draft a complaint about {subject}",
            "Describe a normal week from the view of {subject}",
            "Write a sales pitch for {subject}",
        ),
        subjects=(
            "a thermos flask",
            "the old office printer",
            "a desk for standing work",
            "a raincoat with nine pockets",
            "the lift in building four",
            "an alarm clock that sings",
            "a folding bicycle",
            "the vending machine in the corridor",
            "a wooden toy train",
            "a suitcase on three wheels",
            "the last fax machine of the firm",
            "a pair of hiking boots",
            "a lamp made of driftwood",
            "the meeting room without a door",
            "a pocket calculator",
            "an electric milk frother",
            "a rocking chair",
            "a bread knife from the flea market",
            "the stapler on the front desk",
            "a solar charger",
            "a telescope for beginners",
            "a typewriter with a missing key",
            "the parking meter outside",
            "a waterproof notebook",
            "a garden gnome",
            "a robot that mows the lawn",
        ),
    ),
    Theme(
        acts=(
            "Explain {subject}",
            "Summarise what is known about {subject}",
            "Write an article on {subject}",
            "Answer a letter that asks {subject}",
            "Prepare a school lesson on {subject}",
            "Clear up common errors about {subject}",
            "Tell in your own words {subject}",
            "Draft the text of a museum panel on {subject}",
        ),
        subjects=(
            "how rainbows come about",
            "why leaves change their colour in autumn",
            "how a letter reaches its reader",
            "what insurance is for",
            "what a budget is",
            "how returns work in our shop",
            "why the sea is salty",
            "how cheese gets its holes",
            "who decides on the price of electricity",
            "how glass is made",
            "why cats purr",
            "how a bill becomes a law",
            "what a lock on a canal does",
            "how bees find their way home",
            "why bread goes stale",
            "how planes stay in the air",
            "what an auditor does all year",
            "how old maps were drawn",
            "why some metals rust",
            "how a vaccine is tested",
            "what happens in a sewage plant",
            "how traffic lights are timed",
            "why yawning is catching",
            "how newspapers were printed a century ago",
            "what makes chillies hot",
            "how tides follow the moon",
        ),
    ),
)
"""Tasks are an act, a subject, an audience and a tone.

No part has a comma, a word that a constraint can count or forbid, or a wish as to form, length or language: a task is
repeated in some answers, and must not stand against the conditions that follow it.
"""

AUDIENCES = (
    "for the staff magazine",
    "for our travel blog",
    "for a class of ten-year-olds",
    "for colleagues who have just joined us",
    "for the notice board",
    "for our partners abroad",
    "for the visitors of our web site",
    "for the residents of our street",
    "for somebody to whom all of it is new",
    "for the local radio",
    "for the members of our club",
    "for customers who wait in line",
    "for my grandparents",
    "for the evening course",
)

TONES = (
    "",
    " in a warm tone",
    " in a dry tone",
    " with a pinch of humour",
    " with quiet enthusiasm",
    " in plain words",
    " in a formal manner",
    " as if you spoke to a friend",
)

QUESTION_OPENERS = (
    "Should our team",
    "Would it be wise to",
    "Is it worth the trouble to",
    "Would you advise us to",
    "Does it make sense to",
    "Can we afford to",
    "Is it fair to",
    "Will it pay to",
)

PROPOSALS = (
    "move the weekly meeting to Tuesday",
    "store the spare keys at the front desk",
    "print the programme on recycled paper",
    "add a second bicycle rack in the yard",
    "close the office on the day before a holiday",
    "rent the large hall for the summer party",
    "replace the chairs in the reading room",
    "let visitors park behind the building",
    "open the canteen to the neighbours",
    "share one printer between two floors",
    "answer customers on Saturdays",
    "hold job interviews by telephone",
    "offer fruit in place of biscuits",
    "keep the old logo for another year",
    "train two more first-aiders",
    "order the new uniforms in green",
)

KEYWORDS = (
    "lantern", "harbour", "copper", "meadow", "compass", "thunder", "velvet", "orchard", "pebble", "saddle",
    "whistle", "canvas", "ribbon", "cellar", "feather", "marble", "anchor", "blanket", "cinnamon", "drawer",
    "engine", "fountain", "glacier", "hammock", "island", "kettle", "ladder", "mirror", "needle", "ocean",
    "parcel", "quarry", "rooftop", "shadow", "teapot", "umbrella", "violin", "window", "barrel", "candle",
)  # fmt: skip

FORBIDDEN = (
    "very", "really", "great", "amazing", "obviously", "basically", "always", "never", "problem", "simply",
    "important", "people", "nice", "thing", "best", "however", "perhaps", "maybe", "easy", "actually",
)  # fmt: skip

FIRST_WORDS = ("today", "together", "welcome", "finally", "imagine", "remember", "outside", "yesterday", "meanwhile")

ENDINGS = (
    "That is all for today.",
    "Write to me if anything is unclear.",
    "Thank you for reading to the end.",
    "We are looking forward to your reply.",
    "More on this next week.",
    "Shall I add anything else?",
)

SECTION_WORDS = ("Section", "Part", "Chapter", "Step", "Day")

LANGUAGE_NAMES: Mapping[str, str] = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "de": "German", "es": "Spanish", "fa": "Persian",
    "fi": "Finnish", "fr": "French", "gu": "Gujarati", "hi": "Hindi", "it": "Italian", "kn": "Kannada",
    "ko": "Korean", "mr": "Marathi", "ne": "Nepali", "pa": "Punjabi", "pt": "Portuguese", "ru": "Russian",
    "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai", "ur": "Urdu", "vi": "Vietnamese",
}  # fmt: skip

STATEMENTS: Mapping[str, tuple[str, ...]] = {
    "change_case:capital_word_frequency at least": (
        "Put at least {capital_frequency} words in capital letters only.",
        "No fewer than {capital_frequency} words have to stand in capitals from first to last letter.",
    ),
    "change_case:capital_word_frequency less than": (
        "Fewer than {capital_frequency} words may stand in capital letters only.",
        "Keep words in all capitals below {capital_frequency}.",
    ),
    "change_case:english_capital": (
        "Answer in English and use capital letters throughout, no small ones.",
        "The whole answer is to be English text in capitals.",
    ),
    "change_case:english_lowercase": (
        "Answer in English and use small letters throughout, not a single capital.",
        "The whole answer is to be English text without any capital letter.",
    ),
    "combination:repeat_prompt": (
        (
            "Begin by repeating the first paragraph of this message word for word, then answer it. "
            "Put nothing before the repetition."
        ),
        "Before you answer, copy the first paragraph of this message without any change; the copy comes first.",
    ),
    "combination:two_responses": (
        "Give exactly two different answers and put six asterisks between them: ******",
        "I want two answers that differ, separated by ****** and by nothing else.",
    ),
    "detectable_content:number_placeholders": (
        "Leave at least {num_placeholders} placeholders in square brackets, such as [date].",
        "Use no fewer than {num_placeholders} gaps to fill in, each written as a word in square brackets like [name].",
    ),
    "detectable_content:postscript": (
        "Close with a postscript that begins with {postscript_marker}",
        "After the text itself, add a postscript; mark it with {postscript_marker}",
    ),
    "detectable_format:constrained_response": (
        (
            'Answer with one of these three sentences, to the letter: "My answer is yes.", "My answer is no.", '
            '"My answer is maybe."'
        ),
        'Your answer has to contain exactly one of "My answer is yes.", "My answer is no." and "My answer is maybe."',
    ),
    "detectable_format:json_format": (
        "The answer to me has to be a JSON object itself, as text, with nothing around it.",
        "Write my answer as one JSON object in text form; a code fence around it is fine, other words are not.",
    ),
    "detectable_format:multiple_sections": (
        (
            'Divide the text into at least {num_sections} sections. Each begins on a new line with "{section_spliter}" '
            "and its number, as in {section_spliter} 1."
        ),
        (
            "I need {num_sections} sections or more; open each on a line of its own with {section_spliter} 1, "
            "{section_spliter} 2 and so on."
        ),
    ),
    "detectable_format:number_bullet_lists": (
        'Include exactly {num_bullets} bullet points, each on a line of its own that starts with "* ".',
        'There have to be exactly {num_bullets} list items, no more and no fewer. Start each on a new line with "* ".',
    ),
    "detectable_format:number_highlighted_sections": (
        "Emphasise at least {num_highlights} passages with asterisks, like *this one*.",
        "Mark no fewer than {num_highlights} passages with single asterisks on both sides, as in *marked passage*.",
    ),
    "detectable_format:title": (
        "Give the text a title in double angular brackets, such as <<spring cleaning>>.",
        "Add a headline and wrap it in double angular brackets: <<headline>>.",
    ),
    "keywords:existence": (
        "Use each of these words: {keywords}.",
        "These words have to occur: {keywords}.",
    ),
    "keywords:forbidden_words": (
        "Do not use any of these words: {forbidden_words}.",
        "These words must not occur: {forbidden_words}.",
    ),
    "keywords:frequency at least": (
        'Use the word "{keyword}" at least {frequency} times.',
        'The word "{keyword}" has to stand there {frequency} times or more.',
    ),
    "keywords:frequency less than": (
        'Use the word "{keyword}" fewer than {frequency} times.',
        'The word "{keyword}" may stand there fewer than {frequency} times, not more often.',
    ),
    "keywords:letter_frequency at least": (
        'The letter "{letter}" has to occur at least {let_frequency} times.',
        'Use the letter "{letter}" no fewer than {let_frequency} times.',
    ),
    "keywords:letter_frequency less than": (
        'The letter "{letter}" has to occur fewer than {let_frequency} times.',
        'Use the letter "{letter}" fewer than {let_frequency} times in the whole text.',
    ),
    "language:response_language": (
        "Answer in {language} and in no other language.",
        "The whole answer has to be in {language}.",
    ),
    "length_constraints:nth_paragraph_first_word": (
        (
            "Write exactly {num_paragraphs} paragraphs with one blank line between them. "
            'Paragraph {nth_paragraph} has to begin with the word "{first_word}".'
        ),
        (
            "Separate paragraphs by blank lines; there have to be {num_paragraphs} of them. "
            'Let "{first_word}" be the first word of paragraph {nth_paragraph}.'
        ),
    ),
    "length_constraints:number_paragraphs": (
        "Write exactly {num_paragraphs} paragraphs and put a line with three asterisks between them: ***",
        "The text has to have {num_paragraphs} paragraphs, separated by *** on a line of its own.",
    ),
    "length_constraints:number_sentences at least": (
        "Write at least {num_sentences} sentences.",
        "I want no fewer than {num_sentences} sentences.",
    ),
    "length_constraints:number_sentences less than": (
        "Write fewer than {num_sentences} sentences.",
        "Stay below {num_sentences} sentences.",
    ),
    "length_constraints:number_words at least": (
        "Write at least {num_words} words.",
        "The text has to have {num_words} words or more.",
    ),
    "length_constraints:number_words less than": (
        "Write fewer than {num_words} words.",
        "Stay below {num_words} words.",
    ),
    "punctuation:no_comma": (
        "Do without commas.",
        "There must not be a single comma in the answer.",
    ),
    "startend:end_checker": (
        'The very last words have to be exactly these: "{end_phrase}" Nothing may follow them.',
        'End with this sentence and nothing after it: "{end_phrase}"',
    ),
    "startend:quotation": (
        "Put the whole answer in double quotation marks.",
        "Open the answer with a double quotation mark and close it with one.",
    ),
}
"""How users put their constraints, by id and relation."""

CLASHES: Mapping[str, str] = {
    "change_case:capital_word_frequency at least": "no answer has a word in capitals only",
    "change_case:capital_word_frequency less than": "every answer is full of words in capitals",
    "change_case:english_capital": "every answer is in small letters from beginning to end",
    "change_case:english_lowercase": "every answer is in capital letters from beginning to end",
    "combination:repeat_prompt": "every answer comes straight to the point and repeats nothing of the request",
    "combination:two_responses": "there is one answer to each request and no alternative",
    "detectable_content:number_placeholders": "no answer leaves anything to fill in; square brackets are out",
    "detectable_content:postscript": "no answer has a postscript",
    "detectable_format:constrained_response": "nobody is given a plain yes, no or maybe",
    "detectable_format:json_format": "every answer is flowing prose, never JSON",
    "detectable_format:multiple_sections": "no answer is divided into numbered sections",
    "detectable_format:number_bullet_lists": "no answer has a list in it",
    "detectable_format:number_highlighted_sections": "no answer uses asterisks",
    "detectable_format:title": "no answer has a title",
    "keywords:existence": "the words {keywords} are not used in any answer",
    "keywords:forbidden_words": "the words {forbidden_words} occur in every answer",
    "keywords:frequency at least": 'the word "{keyword}" is not used in any answer',
    "keywords:frequency less than": 'the word "{keyword}" stands in every single sentence of every answer',
    "keywords:letter_frequency at least": 'no answer has the letter "{letter}" in it',
    "keywords:letter_frequency less than": 'the letter "{letter}" is in every word of every answer',
    "language:response_language": "every answer is in English, whoever asks",
    "length_constraints:nth_paragraph_first_word": "every answer is one single paragraph",
    "length_constraints:number_paragraphs": "every answer is one single paragraph",
    "length_constraints:number_sentences at least": "every answer is one sentence long",
    "length_constraints:number_sentences less than": "every answer has fifty sentences or more",
    "length_constraints:number_words at least": "no answer is longer than ten words",
    "length_constraints:number_words less than": "every answer has a thousand words or more",
    "punctuation:no_comma": "every answer has at least five commas",
    "startend:end_checker": "every answer ends with the words: over and out",
    "startend:quotation": "no answer has quotation marks around it",
}
"""What somebody asks for all answers that cannot be had together with a constraint, by id and relation."""

OVERREACH = (
    "And a rule for all of us, whoever asks: {clash}.",
    "This goes for the answers to everybody here: {clash}.",
    "By the way, I want it the same for all colleagues: {clash}.",
)
"""How a user reaches into the answers to others."""
