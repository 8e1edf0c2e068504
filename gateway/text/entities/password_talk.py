"""Plain words: what talk about a password is made of. A word that is none, where a password is waited for, is one."""

from __future__ import annotations

from gateway.text.digits.numbers import vocabulary

__all__ = ["is_plain"]

_PLAIN = vocabulary(
    # grammar
    "a about after again all already also always am an and another any anybody anymore anyone anything anyway are "
    "as at away back be because been before being both but by can cannot could did do does doing done each either "
    "else enough even ever every everybody everyone everything everywhere few for from get gets getting go goes "
    "going gone gonna got had has have having he her here hers herself him himself his how however i if in instead "
    "into is it its itself just kind last later least less let like little lot lots many may maybe me mean means "
    "might mine more most much must my myself need needs neither never next no nobody none nope nor not nothing now "
    "of off often oh ok okay on once one ones only or other others our ours out over own part perhaps please pretty "
    "probably quite rather really right same she should since so some somebody somehow someone something sometimes "
    "somewhere soon sort still such sure than that the their theirs them themselves then there these they thing "
    "things this those though through till to today together tomorrow tonight too two under until up upon us "
    "usually very wanna want was way we well were what whatever when whenever where which while who whole whom "
    "whose why will with without would yeah yep yes yesterday yet you your yours yourself yup "
    # talk
    "absolutely afraid ah ahead alright amazing apparently awesome basically bit bye certainly correct course cool "
    "couple definitely excellent exactly excuse fine first fun funny gladly glad good goodbye great happy hello hey "
    "hi hmm hopefully huh idea interesting kidding literally lovely luckily ma'am maam mhm moment never nice "
    "nevermind obviously pardon perfect possibly problem question really sad sadly second seriously sir sorry "
    "strange sure thank thanks totally true trouble uh um unfortunately weird welcome wonderful worries worry wow "
    "wrong bad better best "
    # what is done
    "accept accepts accepted answer ask asked asking asks believe bring broke broken call called came change "
    "changed changes changing check checked checking choose chose click clicked clicking come comes coming confirm "
    "confirmed create created entered enter entering expect expired fail failed fails figure find finding fix "
    "forget forgot forgotten found gave getting give given gives giving guess guessed happen happened happening "
    "happens hear heard help helped hold hope keep keeps kept knew know knows known learn leave left listen lock "
    "locked log logged logging look looked looking looks lose lost made make makes making match matches matched "
    "move open opened picked pick put puts putting read reading receive received record refuse rejected remember "
    "remembered remembers repeat reset resetting said save saved saving say saying says see seeing seem seems seen "
    "send sending sends sent set sets setting setup share should show showing shows sign signed sound sounds speak "
    "spell spelled start started stop stopped stops stuck supposed switch take taken takes talk tell telling tells "
    "think thinking thought told took tried tries try trying turn turned type typed types typing understand unlock "
    "unlocked update updated use used uses using verify wait waiting wanted wants watch went wish woke won't wonder "
    "work worked working works write written wrote "
    # of what
    "access account address app application area authentication bank bill billing box browser button cap capital "
    "caps caller calls case character characters code codes computer connection daughter day days desk desktop "
    "device digit digits email emails error file forms hacked house hour hours husband inbox internet issue issues "
    "kid kids laptop letter letters line link login lower lowercase machine mail man manager message messages "
    "minute minutes month months mom dad morning name names new night noon notebook number numbers office old "
    "online order page paper part password passwords passcode people person phone place point portal print profile "
    "program protected protects question questions reason room router screen security server service settings side "
    "signal site son space spelling support symbol symbols system tablet team temporary text time times tool twice "
    "upper uppercase user username verbal version voicemail website week weeks wifi wife window windows word words "
    "year years default different difficult easy empty hard incorrect invalid long longer short shorter sensitive "
    "simple special strong stronger valid weak begin begins began down easier harder simpler weaker handy ready "
    "done ends starts phrase pound capitalized able available busy comfortable correctly incorrectly quick quickly "
    "recently slow safe secure early late i'm i've i'll i'd it's that's don't can't didn't doesn't isn't wasn't "
    "won't couldn't wouldn't shouldn't haven't hasn't hadn't aren't weren't you're you've you'll you'd we're we've "
    "we'll they're they've there's what's who's where's how's let's he's she's here's ain't y'all "
)


def is_plain(word: str) -> bool:
    """True for a word of talk; ``word`` is in lower case."""
    return word in _PLAIN
