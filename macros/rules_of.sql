{% macro rules_of(rules, severity) %}
    {%- set severities = ['reject', 'warn'] -%}
    {%- if severity not in severities -%}
        {{ exceptions.raise_compiler_error(
            "rules_of: severity '" ~ severity ~ "' is neither reject nor warn"
        ) }}
    {%- endif -%}
    {%- for rule in rules if rule.severity not in severities -%}
        {{ exceptions.raise_compiler_error(
            "The rule " ~ rule.code ~ " has no severity that is known."
            ~ " Expected: reject or warn. Found: " ~ (rule.severity or 'none')
        ) }}
    {%- endfor -%}
    {{ return(rules | selectattr('severity', 'equalto', severity) | list) }}
{% endmacro %}
