"""The words of generated instruct scenarios: tasks, constraints as users put them, and demands that clash with them.

Tables only.  Tasks have no comma, so that they can be repeated in an answer that may have none.
"""

from collections.abc import Mapping

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

TASKS = (
    "Write a short note that welcomes new colleagues to our floor.",
    "Explain to a new customer how returns work in our shop.",
    "Describe a rainy day in a harbour town for our travel blog.",
    "Draft a reminder that the lift is closed next week.",
    "Tell the story of how our first product came about.",
    "Summarise why regular backups matter to a small office.",
    "Propose a programme for a half-day team outing.",
    "Explain how bread is baked to a class of ten-year-olds.",
    "Write an announcement for the charity run in May.",
    "Describe the ideal desk for people who work standing up.",
    "Give advice on keeping house plants alive in winter.",
    "Write a product text for a thermos flask.",
    "Explain what a budget is to somebody who never had one.",
    "Draft a thank-you letter to the volunteers of the open day.",
    "Write a short speech for a colleague who retires.",
    "Describe how a letter travels from the sender to the reader.",
    "Suggest ways to make long meetings shorter.",
    "Write a riddle about a bridge for the staff magazine.",
    "Explain the rules of our car park to visitors.",
    "Draft an apology for a late delivery.",
    "Describe the view from a lighthouse at night.",
    "Compare trains and buses for the daily way to work.",
    "Write a guide to the coffee machine on the third floor.",
    "Explain how rainbows come about.",
    "Draft an invitation to the annual board game evening.",
    "Write an obituary for the old office printer.",
    "Give three reasons to learn a second language.",
    "Describe a market in the early morning.",
    "Write a job advertisement for a night porter.",
    "Explain to tourists how to buy a tram ticket.",
    "Tell a bedtime story about a snail that wants to travel.",
    "Write a review of an imaginary restaurant on the moon.",
    "Describe how to tidy a shared kitchen.",
    "Explain why leaves change their colour in autumn.",
    "Draft a message that asks neighbours for silence during exams.",
    "Write a short portrait of a beekeeper.",
    "Give tips for a first job interview.",
    "Describe the sound of an orchestra that tunes its instruments.",
    "Explain what insurance is for.",
    "Write a letter from the future to our town.",
)

QUESTIONS = (
    "Should our team move its weekly meeting to Tuesday?",
    "Is it wise to store the spare keys at the front desk?",
    "Will the new canteen be large enough for both shifts?",
    "Can visitors find the entrance without a map?",
    "Would a second bicycle rack be used in winter?",
    "Is one week of notice enough to book the large hall?",
    "Should we print the programme on recycled paper?",
    "Does the reading room need softer chairs?",
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
