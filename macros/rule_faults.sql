{% macro rule_faults(rules) %}
    {%- set faults = [] -%}
    {%- set codes = [] -%}
    {%- for rule in rules -%}
        {%- set name = rule.code or 'number ' ~ loop.index -%}
        {%- set keys = rule.keys() | sort | join(', ') -%}
        {%- set checks = [(
            'no keys but code, severity, when and words',
            keys,
            keys == 'code, severity, when, words',
        ), (
            'a code of letters, digits and _',
            rule.code,
            (rule.code | string).isidentifier(),
        ), (
            'a code that no other rule has',
            rule.code,
            rule.code not in codes,
        ), (
            'severity reject or warn',
            rule.severity,
            rule.severity in ['reject', 'warn'],
        ), (
            'SQL as when',
            rule.when,
            rule.when is string and rule.when | trim != '',
        ), (
            'SQL as words',
            rule.words,
            rule.words is string and rule.words | trim != '',
        )] -%}
        {%- for expected, found, is_met in checks if not is_met -%}
            {%- do faults.append('The rule ' ~ name ~ ' cannot be used. Expected: '
                ~ expected ~ '. Found: ' ~ (found or 'none')) -%}
        {%- endfor -%}
        {%- do codes.append(rule.code) -%}
    {%- endfor -%}
    {{ return(faults) }}
{% endmacro %}
