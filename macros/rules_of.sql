{% macro rules_of(rules, severity) %}
    {%- set faults = rule_faults(rules) -%}
    {%- if faults -%}
        {{ exceptions.raise_compiler_error(faults | join('\n')) }}
    {%- endif -%}
    {%- if severity not in ['reject', 'warn'] -%}
        {{ exceptions.raise_compiler_error(
            "rules_of: severity '" ~ severity ~ "' is neither reject nor warn"
        ) }}
    {%- endif -%}
    {{ return(rules | selectattr('severity', 'equalto', severity) | list) }}
{% endmacro %}
